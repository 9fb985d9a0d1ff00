// Package worker is a live worker in a few lines: the protocol of docs/live.md, for sagas in Go, with nothing but Go's
// own packages.
//
//	worker.Serve(func(saga worker.Saga) worker.Status {
//		for _, step := range saga.Steps {
//			if _, err := saga.Call(step, "do", worker.Key(saga.ID+"/"+step)); err != nil {
//				return worker.Failed(err)
//			}
//		}
//		return worker.Completed
//	}, worker.Options{Engine: "mine"})
package worker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrRejected is definite: nothing was applied. ErrUnknown is an error or no answer: it may have been, or may yet be.
var (
	ErrRejected = errors.New("refused")
	ErrUnknown  = errors.New("unknown")
)

// Saga is what a client asks for, as JSON can hold it: the input of a workflow. Waits says for how many milliseconds it
// is to wait before a step, Attempts after how many a step is given up (0: never). Again: an earlier process had it.
type Saga struct {
	ID       string              `json:"id"`
	Order    map[string]any      `json:"order"`
	Steps    []string            `json:"steps"`
	After    map[string][]string `json:"after"`
	Waits    map[string]float64  `json:"waits"`
	Attempts int                 `json:"attempts"`
	Again    bool                `json:"again"`
}

// Status is how a saga stands.
type Status struct {
	Status string `json:"status"`
	Step   string `json:"step,omitempty"`
	Reason string `json:"reason,omitempty"`
	Stray  bool   `json:"stray,omitempty"`
}

// What a driver usually returns.
var (
	Completed   = Status{Status: "completed"}
	Compensated = Status{Status: "compensated"}
	Stuck       = Status{Status: "failed_stuck"}
)

// Failed is the status of a saga whose driver ended with an error; one that is no refusal and not unknown is stray.
func Failed(err error) Status {
	stray := !errors.Is(err, ErrRejected) && !errors.Is(err, ErrUnknown)
	return Status{Status: "unknown", Reason: err.Error(), Stray: stray}
}

// WaitForCase waits for a case, where the manifest says ahead = true: what stands before it is done in advance. Serve
// does it too.
func WaitForCase() {
	if os.Getenv("SAGAFUZZ_WAITS") == "" {
		return
	}
	var line, one = []byte{}, make([]byte, 1)
	for {
		count, err := syscall.Read(0, one) // and nothing of what follows
		if err == syscall.EINTR {
			continue
		}
		if count != 1 {
			os.Exit(0)
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	var told struct {
		Env map[string]string `json:"env"`
	}
	if err := json.Unmarshal(line, &told); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Unsetenv("SAGAFUZZ_WAITS")
	for name, value := range told.Env {
		os.Setenv(name, value)
	}
}

// Post sends JSON to the harness: the HTTP status, and the object that was answered. ErrUnknown where none came.
func Post(path string, content any, headers map[string]string, timeout time.Duration) (int, map[string]any, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequest("POST", os.Getenv("SAGAFUZZ_URL")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("SAGAFUZZ_TOKEN"))
	request.GetBody = nil // so that Go's client never sends it again by itself
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %v", ErrUnknown, err)
	}
	defer response.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, nil, fmt.Errorf("%w: %v", ErrUnknown, err)
	}
	return response.StatusCode, answer, nil
}

// Option is what a request may have beside its step.
type Option func(content map[string]any, headers map[string]string)

// Key is the idempotency key of a request.
func Key(key string) Option {
	return func(_ map[string]any, headers map[string]string) { headers["Idempotency-Key"] = key }
}

// Receipt is what "do" was answered with, for its "undo".
func Receipt(receipt any) Option {
	return func(content map[string]any, _ map[string]string) {
		if receipt != nil {
			content["receipt"] = receipt
		}
	}
}

// Call asks the participant of a step to "do" or "undo" it: its receipt, or ErrRejected or ErrUnknown.
func (saga Saga) Call(step, verb string, options ...Option) (any, error) {
	content, headers := map[string]any{}, map[string]string{"Saga-Id": saga.ID, "Saga-Step": step}
	for _, name := range []string{"item", "quantity", "amount", "account"} {
		content[name] = saga.Order[name]
	}
	for _, option := range options {
		option(content, headers)
	}
	ms, _ := strconv.Atoi(os.Getenv("SAGAFUZZ_CALL_TIMEOUT_MS"))
	status, answer, err := Post(step+"/"+verb, content, headers, time.Duration(ms)*time.Millisecond)
	switch {
	case err != nil:
		return nil, err
	case status == 200:
		return answer["receipt"], nil
	case status == 409 || status == 422:
		return nil, fmt.Errorf("%w: %s/%s: %v", ErrRejected, step, verb, answer["error"])
	}
	return nil, fmt.Errorf("%w: %s/%s: %v", ErrUnknown, step, verb, answer["error"])
}

// Layers are the steps in lists, those of one list at once.
func (saga Saga) Layers() [][]string {
	depth, found := map[string]int{}, [][]string{}
	for _, step := range saga.Steps {
		for _, earlier := range saga.After[step] {
			depth[step] = max(depth[step], depth[earlier]+1)
		}
		if depth[step] == len(found) {
			found = append(found, nil)
		}
		found[depth[step]] = append(found[depth[step]], step)
	}
	return found
}

// Options of Serve. An engine that goes on by itself TakesUp: what an earlier process had taken is driven here with
// Again. Else Pending are the sagas that it left open.
type Options struct {
	Engine  string
	TakesUp bool
	Pending []Saga
}

type command struct {
	ID int    `json:"id"`
	Op string `json:"op"`
	order
	Open []order `json:"open"`
}

type order struct {
	SagaID string         `json:"saga_id"`
	Order  map[string]any `json:"order"`
	Steps  []struct {
		ID          string   `json:"id"`
		After       []string `json:"after"`
		WaitMs      float64  `json:"wait_ms"`
		MaxAttempts int      `json:"max_attempts"`
	} `json:"steps"`
}

func (o order) saga(again bool) Saga {
	saga := Saga{ID: o.SagaID, Order: o.Order, After: map[string][]string{}, Waits: map[string]float64{}, Again: again}
	for _, step := range o.Steps {
		saga.Steps = append(saga.Steps, step.ID)
		saga.After[step.ID] = step.After
		if step.WaitMs > 0 {
			saga.Waits[step.ID] = step.WaitMs
		}
		saga.Attempts = max(saga.Attempts, step.MaxAttempts)
	}
	return saga
}

type server struct {
	Options
	drive func(Saga) Status
	out   *os.File
	mutex sync.Mutex
	known map[string]Status
}

// Serve takes commands until standard input ends, and ends the process then. Each saga is driven in a goroutine. What
// anything else writes to standard output goes to standard error.
func Serve(drive func(Saga) Status, options Options) {
	WaitForCase()
	in, out, err := keptApart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := &server{Options: options, drive: drive, out: out, known: map[string]Status{}}
	for _, saga := range options.Pending {
		s.begin(saga)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		s.answer(asked)
	}
	os.Exit(0)
}

func (s *server) answer(asked command) {
	answer := map[string]any{"id": asked.ID}
	var taken []Saga
	switch asked.Op {
	case "hello":
		answer["protocol"], answer["engine"] = 1, s.Engine
		for _, order := range asked.Open {
			if s.TakesUp {
				taken = append(taken, order.saga(true))
			}
		}
	case "start":
		taken = append(taken, asked.saga(false))
	case "status":
		found := s.status(asked.SagaID)
		answer["status"], answer["step"], answer["reason"], answer["stray"] = found.Status, found.Step, found.Reason, found.Stray
	case "recover":
	default:
		answer["error"], answer["definite"] = "no such command: "+asked.Op, true
	}
	s.say(answer)
	for _, saga := range taken { // after the answer, so that a crash in its first step finds it taken
		s.begin(saga)
	}
}

func (s *server) status(id string) Status {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found, there := s.known[id]; there {
		return found
	}
	return Status{Status: "unknown", Reason: "it was never started"}
}

func (s *server) begin(saga Saga) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, there := s.known[saga.ID]; there {
		return
	}
	s.known[saga.ID] = Status{Status: "running"}
	go func() {
		status := s.drive(saga)
		s.mutex.Lock()
		s.known[saga.ID] = status
		s.mutex.Unlock()
		s.say(struct {
			Event  string `json:"event"`
			SagaID string `json:"saga_id"`
			Status
		}{"status", saga.ID, status})
	}()
}

func (s *server) say(content any) {
	line, err := json.Marshal(content)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.out.Write(append(line, '\n'))
}

// keptApart gives the protocol its own standard input and output, which no child inherits.
func keptApart() (*os.File, *os.File, error) {
	var own [2]*os.File
	for number := range own {
		copy, err := syscall.Dup(number)
		if err != nil {
			return nil, nil, err
		}
		syscall.CloseOnExec(copy)
		own[number] = os.NewFile(uintptr(copy), "protocol")
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer nothing.Close()
	if err := syscall.Dup3(int(nothing.Fd()), 0, 0); err != nil {
		return nil, nil, err
	}
	return own[0], own[1], syscall.Dup3(2, 1, 0)
}
