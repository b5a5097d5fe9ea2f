package main

// gitops argocd: `apply` applies the manifests on standard input as Argo CD does
// with ServerSideApply=true, with its mark by which it knows its objects. `diff`
// compares them with what is in the cluster, in each of the ways that Argo CD
// has, and prints one line of JSON for each difference.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/kube-openapi/pkg/util/proto"
)

const (
	argoManager  = "argocd-controller"
	trackingMark = "argocd.argoproj.io/tracking-id"
)

// An object that is not as Argo CD would make it.
type difference struct {
	Object    string          `json:"object"`
	Way       string          `json:"way"`
	Live      json.RawMessage `json:"live"`
	Predicted json.RawMessage `json:"predicted"`
}

// What is needed of a cluster.
type argo struct {
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
	parser  *managedfields.GvkParser
}

func sync(ctx context.Context) error {
	argo, objects, err := begin()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if _, err := argo.apply(ctx, object, nil); err != nil {
			return fmt.Errorf("%s: %w", describe(object), err)
		}
	}
	return nil
}

func compare(ctx context.Context) error {
	argo, objects, err := begin()
	if err != nil {
		return err
	}
	ways := map[string][]diff.Option{
		"two-way":          nil,
		"structured-merge": {diff.WithStructuredMergeDiff(true)},
		"server-side":      {diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(argo)},
		"server-side, with what webhooks change": {
			diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(argo), diff.WithIgnoreMutationWebhook(false),
		},
	}
	out := json.NewEncoder(os.Stdout)
	for _, object := range objects {
		live, err := argo.live(ctx, object)
		if err != nil {
			return fmt.Errorf("%s: %w", describe(object), err)
		}
		for way, options := range ways {
			options = append(options, diff.WithGVKParser(argo.parser), diff.WithManager(argoManager))
			found, err := diff.Diff(object, live, options...)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", describe(object), way, err)
			}
			if !found.Modified {
				continue
			}
			if err := out.Encode(difference{describe(object), way, found.NormalizedLive, found.PredictedLive}); err != nil {
				return err
			}
		}
	}
	return nil
}

// The cluster, and the manifests with the mark.
func begin() (*argo, []*unstructured.Unstructured, error) {
	config, err := cluster()
	if err != nil {
		return nil, nil, err
	}
	argo, err := newArgo(config)
	if err != nil {
		return nil, nil, err
	}
	objects, err := manifests()
	if err != nil {
		return nil, nil, err
	}
	for _, object := range objects {
		mark(object)
	}
	return argo, objects, nil
}

func newArgo(config *rest.Config) (*argo, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	discovery, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(discovery)
	if err != nil {
		return nil, err
	}
	document, err := discovery.OpenAPISchema()
	if err != nil {
		return nil, err
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		return nil, err
	}
	parser, err := managedfields.NewGVKParser(models, false)
	if err != nil {
		return nil, err
	}
	return &argo{client, restmapper.NewDiscoveryRESTMapper(groups), parser}, nil
}

// By which application an object is wanted: Argo CD adds it to what Git has.
func mark(object *unstructured.Unstructured) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	kind := object.GroupVersionKind().GroupKind()
	annotations[trackingMark] = fmt.Sprintf("shop:%s/%s:%s/%s", kind.Group, kind.Kind, object.GetNamespace(), object.GetName())
	object.SetAnnotations(annotations)
}

// What the API server would make of an object: a dry run for diff.
func (argo *argo) Run(ctx context.Context, object *unstructured.Unstructured, _ string) (string, error) {
	predicted, err := argo.apply(ctx, object, []string{metav1.DryRunAll})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(predicted)
	return string(text), err
}

func (argo *argo) apply(ctx context.Context, object *unstructured.Unstructured, dryRun []string) (*unstructured.Unstructured, error) {
	resource, err := argo.resource(object)
	if err != nil {
		return nil, err
	}
	options := metav1.ApplyOptions{FieldManager: argoManager, Force: true, DryRun: dryRun}
	return resource.Apply(ctx, object.GetName(), object, options)
}

func (argo *argo) live(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := argo.resource(object)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, object.GetName(), metav1.GetOptions{})
}

func (argo *argo) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := argo.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	resources := argo.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return resources, nil
	}
	return resources.Namespace(object.GetNamespace()), nil
}

func describe(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s/%s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}
