// A naive and a correct checkout, and a shop with a webhook, by the first argument.

package main

import (
	"fmt"
	"os"
	"runtime"

	"sagafuzz/worker"
)

func main() {
	switch os.Args[1] {
	case "naive":
		worker.Serve(naive, worker.Options{Engine: "naive on " + runtime.Version()})
	case "correct":
		log := openLog()
		worker.Serve(log.checkout, worker.Options{Engine: "correct on " + runtime.Version(), Pending: log.pending()})
	case "webhook-naive", "webhook-correct":
		shop := openShop(os.Args[1] == "webhook-naive")
		worker.Serve(shop.sell, worker.Options{
			Engine:  os.Args[1] + " on " + runtime.Version(),
			Recover: shop.open,
			Status:  shop.status,
			Receive: shop.receive,
		})
	default:
		fmt.Fprintln(os.Stderr, "write naive, correct, webhook-naive or webhook-correct")
		os.Exit(2)
	}
}

// naive works in memory, without keys, and takes a timeout for a failure.
func naive(saga worker.Saga) worker.Status {
	var done []string
	for _, step := range saga.Steps {
		if _, err := saga.Call(step, "do"); err == nil {
			done = append(done, step)
			continue
		}
		for n := len(done) - 1; n >= 0; n-- {
			if _, err := saga.Call(done[n], "undo"); err != nil {
				return worker.Failed(err)
			}
		}
		return worker.Compensated
	}
	return worker.Completed
}
