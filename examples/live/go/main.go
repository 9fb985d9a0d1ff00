// A naive and a correct checkout, by the first argument.

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	switch os.Args[1] {
	case "naive":
		serve("naive on "+runtime.Version(), naive, nil)
	case "correct":
		log := openLog()
		serve("correct on "+runtime.Version(), log.checkout, log.pending())
	default:
		fmt.Fprintln(os.Stderr, "write naive or correct")
		os.Exit(2)
	}
}

// naive works in memory, without keys, and takes a timeout for a failure.
func naive(saga Saga) Status {
	var done []string
	for _, step := range saga.Steps {
		if _, err := call(saga, step, "do", "", nil); err == nil {
			done = append(done, step)
			continue
		}
		for n := len(done) - 1; n >= 0; n-- {
			if _, err := call(saga, done[n], "undo", "", nil); err != nil {
				return Status{Status: "unknown", Reason: err.Error()}
			}
		}
		return Status{Status: "compensated"}
	}
	return Status{Status: "completed"}
}
