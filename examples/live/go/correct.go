// A checkout on a durable log, a file that is synced at each line: what it intends is written before it is asked,
// and what is unknown is undone.

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sagafuzz/worker"
)

const forwardAttempts, undoAttempts, pause = 3, 4, 20 * time.Millisecond

type state struct {
	worker.Saga
	Phase    string         `json:"phase"`
	Begun    []string       `json:"begun"`
	Receipts map[string]any `json:"receipts"`
	Undone   []string       `json:"undone"`
	Stuck    string         `json:"stuck"`
}

type durableLog struct {
	mutex  sync.Mutex
	file   *os.File
	states map[string]*state
}

func openLog() *durableLog {
	path := filepath.Join(os.Getenv("SAGAFUZZ_DIR"), "log.ndjson")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	log := &durableLog{file: file, states: map[string]*state{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		found := &state{}
		if json.Unmarshal(lines.Bytes(), found) == nil { // one may be cut short
			log.states[found.ID] = found
		}
	}
	file.WriteString("\n")
	return log
}

func (log *durableLog) pending() []worker.Saga {
	var found []worker.Saga
	for _, one := range log.states {
		found = append(found, one.Saga)
	}
	return found
}

func (log *durableLog) save(s *state, record, step string) {
	shown := map[string]any{"record": record, "saga": s.ID, "step": step}
	shown["phase"] = "log"
	worker.Post("log", shown, nil, 10*time.Second)
	line, _ := json.Marshal(s)
	log.mutex.Lock()
	log.states[s.ID] = s
	log.file.Write(append(line, '\n'))
	log.file.Sync()
	log.mutex.Unlock()
	shown["phase"] = "logged"
	worker.Post("log", shown, nil, 10*time.Second)
}

func (log *durableLog) checkout(saga worker.Saga) worker.Status {
	log.mutex.Lock()
	s := log.states[saga.ID]
	log.mutex.Unlock()
	if s == nil {
		s = &state{Saga: saga, Phase: "forward", Receipts: map[string]any{}}
		log.save(s, "create", "")
	}
	if s.Phase == "forward" {
		if log.forward(s) {
			return log.end(s, "completed")
		}
		s.Phase = "compensating"
		log.save(s, "compensating", "")
	}
	if s.Phase == "compensating" {
		return log.end(s, log.backward(s))
	}
	return worker.Status{Status: s.Phase, Step: s.Stuck}
}

func (log *durableLog) forward(s *state) bool {
	for _, step := range s.Steps {
		if _, done := s.Receipts[step]; done {
			continue
		}
		if !slices.Contains(s.Begun, step) {
			s.Begun = append(s.Begun, step)
			log.save(s, "intent", step)
		}
		receipt, err := ask(s.Saga, step, "do", forwardAttempts, nil)
		if errors.Is(err, worker.ErrRejected) { // definite, since every attempt had one key
			s.Begun = s.Begun[:len(s.Begun)-1]
		}
		if err != nil {
			return false
		}
		s.Receipts[step] = receipt
		log.save(s, "outcome", step)
	}
	return true
}

func (log *durableLog) backward(s *state) string {
	for n := len(s.Begun) - 1; n >= 0; n-- {
		step := s.Begun[n]
		if slices.Contains(s.Undone, step) {
			continue
		}
		if _, err := ask(s.Saga, step, "undo", undoAttempts, s.Receipts[step]); err != nil {
			s.Stuck = step // for a person; the steps before it are undone all the same
			log.save(s, "stuck", step)
			continue
		}
		s.Undone = append(s.Undone, step)
		log.save(s, "undone", step)
	}
	if s.Stuck != "" {
		return "failed_stuck"
	}
	return "compensated"
}

func (log *durableLog) end(s *state, phase string) worker.Status {
	s.Phase = phase
	log.save(s, "terminal", "")
	return worker.Status{Status: phase, Step: s.Stuck}
}

func ask(saga worker.Saga, step, verb string, attempts int, receipt any) (any, error) {
	for attempt := 1; ; attempt++ {
		answer, err := saga.Call(step, verb, worker.Key(saga.ID+"/"+step), worker.Receipt(receipt))
		if err == nil || errors.Is(err, worker.ErrRejected) || attempt == attempts {
			return answer, err
		}
		time.Sleep(pause)
	}
}
