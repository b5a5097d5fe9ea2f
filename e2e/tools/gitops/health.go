package main

// gitops health: for each JSON object on standard input, one line of JSON: the
// health that Argo CD's Lua (gopher-lua) finds with HEALTH.lua, the status that
// Flux finds by its convention (kstatus), and the one by the CEL expressions
// that HEALTH-CHECKS.yaml has for the object's kind, in the form of a
// Kustomization's spec.healthCheckExprs.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// As long as Argo CD lets a script run.
const patience = time.Second

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

type verdicts struct {
	Argo    verdict `json:"argo"`
	Kstatus verdict `json:"kstatus"`
	// Absent for kinds without an expression.
	Expressions *verdict `json:"expressions,omitempty"`
}

func judgeAll(scriptPath, checksPath string) error {
	script, err := os.ReadFile(scriptPath)
	if err != nil {
		return err
	}
	checks, err := readChecks(checksPath)
	if err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var raw json.RawMessage
		if err := in.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		// As clients of the API server decode: whole numbers stay whole.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			return err
		}
		found, err := judge(object, string(script), checks)
		if err != nil {
			return err
		}
		if err := out.Encode(found); err != nil {
			return err
		}
	}
}

func readChecks(path string) ([]kustomize.CustomHealthCheck, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var checks []kustomize.CustomHealthCheck
	return checks, yaml.UnmarshalStrict(text, &checks)
}

func judge(object *unstructured.Unstructured, script string, checks []kustomize.CustomHealthCheck) (*verdicts, error) {
	health, err := luaHealth(object, script)
	if err != nil {
		return nil, fmt.Errorf("Lua: %w", err)
	}
	computed, err := status.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	found := &verdicts{
		Argo:    health,
		Kstatus: verdict{computed.Status.String(), computed.Message},
	}
	for _, check := range checks {
		if check.APIVersion == object.GetAPIVersion() && check.Kind == object.GetKind() {
			expressions, err := expressions(object, check.HealthCheckExpressions)
			if err != nil {
				return nil, err
			}
			found.Expressions = &expressions
		}
	}
	return found, nil
}

// An error, as when there is nothing to look at, is no end for Flux: the status
// is unknown then, and it asks again.
func expressions(object *unstructured.Unstructured, of kustomize.HealthCheckExpressions) (verdict, error) {
	evaluator, err := cel.NewStatusEvaluator(&of)
	if err != nil {
		return verdict{}, err
	}
	result, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return verdict{status.UnknownStatus.String(), err.Error()}, nil
	}
	return verdict{result.Status.String(), result.Message}, nil
}

// As Argo CD runs a script: the object is `obj`, and of Lua's libraries there are
// these, besides a part of `os` and `package`, which a health check has no use for.
func luaHealth(object *unstructured.Unstructured, script string) (verdict, error) {
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		machine.Push(machine.NewFunction(open))
		machine.Push(lua.LString(name))
		if err := machine.PCall(1, 0, nil); err != nil {
			return verdict{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	machine.SetContext(ctx)
	machine.SetGlobal("obj", value(machine, object.Object))
	if err := machine.DoString(script); err != nil {
		return verdict{}, err
	}
	table, ok := machine.Get(-1).(*lua.LTable)
	if !ok {
		return verdict{}, fmt.Errorf("the script returns %s, no table", machine.Get(-1).Type())
	}
	return verdict{
		Status:  lua.LVAsString(table.RawGetString("status")),
		Message: lua.LVAsString(table.RawGetString("message")),
	}, nil
}

// What JSON holds, as Lua has it: every number is a float there.
func value(machine *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		table := machine.NewTable()
		for _, item := range from {
			table.Append(value(machine, item))
		}
		return table
	case map[string]any:
		table := machine.NewTable()
		for name, item := range from {
			table.RawSetString(name, value(machine, item))
		}
		return table
	default:
		panic(fmt.Sprintf("%T is not of JSON", from))
	}
}
