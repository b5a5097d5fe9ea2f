package main

// gitops flux: applies the manifests on standard input as Flux's
// kustomize-controller does, with its options and labels: what has drifted by a
// dry run is applied, in stages. Then it deletes what INVENTORY.json lists of the
// last time and is no longer among them, and writes the list anew. Prints what
// happened to each object, such as `PolicyRecord/shop/www unchanged`.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// As kustomize-controller names itself, and the Kustomization.
var owner = ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}

const kustomization, namespace = "shop", "flux-system"

// An object as the inventory lists it: what is needed to delete it.
type entry struct {
	ID      string `json:"id"`
	Version string `json:"v"`
}

func reconcile(ctx context.Context, inventory string) error {
	manager, err := newManager()
	if err != nil {
		return err
	}
	objects, err := manifests()
	if err != nil {
		return err
	}
	if err := normalize.UnstructuredList(objects); err != nil {
		return err
	}
	manager.SetOwnerLabels(objects, kustomization, namespace)
	changes, err := manager.ApplyAllStaged(ctx, objects, ssa.DefaultApplyOptions())
	if err != nil {
		return err
	}
	fmt.Println(changes)
	return prune(ctx, manager, inventory, changes)
}

func newManager() (*ssa.ResourceManager, error) {
	config, err := cluster()
	if err != nil {
		return nil, err
	}
	client, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(client, client.RESTMapper(), polling.Options{})
	return ssa.NewResourceManager(client, poller, owner), nil
}

// Deletes what was applied the last time and not this time.
func prune(ctx context.Context, manager *ssa.ResourceManager, path string, applied *ssa.ChangeSet) error {
	before, err := readInventory(path)
	if err != nil {
		return err
	}
	var now []entry
	kept := map[string]bool{}
	for _, change := range applied.Entries {
		id := change.ObjMetadata.String()
		kept[id] = true
		now = append(now, entry{id, change.GroupVersion})
	}
	var stale []*unstructured.Unstructured
	for _, entry := range before {
		if kept[entry.ID] {
			continue
		}
		metadata, err := object.ParseObjMetadata(entry.ID)
		if err != nil {
			return err
		}
		gone := &unstructured.Unstructured{}
		gone.SetGroupVersionKind(metadata.GroupKind.WithVersion(entry.Version))
		gone.SetNamespace(metadata.Namespace)
		gone.SetName(metadata.Name)
		stale = append(stale, gone)
	}
	options := ssa.DefaultDeleteOptions()
	options.Inclusions = manager.GetOwnerLabels(kustomization, namespace)
	deleted, err := manager.DeleteAll(ctx, stale, options)
	if err != nil {
		return err
	}
	if len(deleted.Entries) > 0 {
		fmt.Println(deleted)
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// There is no list before the first time.
func readInventory(path string) ([]entry, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var entries []entry
	return entries, json.Unmarshal(text, &entries)
}
