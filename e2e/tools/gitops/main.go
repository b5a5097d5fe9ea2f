// What GitOps tools make of objects, by the code that they use themselves:
//
//	gitops health HEALTH.lua HEALTH-CHECKS.yaml < objects.json
//	gitops flux INVENTORY.json < manifests.yaml
//	gitops argocd apply < manifests.yaml
//	gitops argocd diff < manifests.yaml
//
// What each of them does is said in its file. The cluster of the last three is
// that of KUBECONFIG.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "health":
		return judgeAll(args[1], args[2])
	case len(args) == 2 && args[0] == "flux":
		return reconcile(ctx, args[1])
	case len(args) == 2 && args[0] == "argocd" && args[1] == "apply":
		return sync(ctx)
	case len(args) == 2 && args[0] == "argocd" && args[1] == "diff":
		return compare(ctx)
	default:
		return errors.New("say which: health HEALTH.lua HEALTH-CHECKS.yaml, flux INVENTORY.json, argocd apply, or argocd diff")
	}
}

// The cluster of KUBECONFIG. Nobody is slowed down here to spare it.
func cluster() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// The manifests on standard input.
func manifests() ([]*unstructured.Unstructured, error) {
	return utils.ReadObjects(os.Stdin)
}
