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
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrRejected is definite: nothing was applied. ErrUnknown is an error or no answer: it may have been, or may yet be.
// ErrStore is one of a durable write: before it was durable, or after.
var (
	ErrRejected = errors.New("refused")
	ErrUnknown  = errors.New("unknown")
	ErrStore    = fmt.Errorf("%w: the store does not answer", ErrUnknown)
)

// Saga is what a client asks for, as JSON can hold it: the input of a workflow. Children are, by the step, the sagas
// that are steps of it. Waits says for how many milliseconds it is to wait before a step, Signals for a message of
// which topic, Attempts after how many a step is given up (0: never). Lazy: how far it has come is to lie in the
// engine's state. Again: an earlier process had it.
type Saga struct {
	ID       string              `json:"id"`
	Order    map[string]any      `json:"order"`
	Steps    []string            `json:"steps"`
	After    map[string][]string `json:"after"`
	Children map[string]Saga     `json:"children"`
	Waits    map[string]float64  `json:"waits"`
	Signals  map[string]string   `json:"signals"`
	Attempts int                 `json:"attempts"`
	Lazy     bool                `json:"lazy"`
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
	Running     = Status{Status: "running"} // what follows comes of messages
	NotKnown    = Status{Status: "unknown"} // to this process
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
type Option func(*request)

type request struct {
	content map[string]any
	receipt any
	headers map[string]string
	timeout time.Duration
}

// Key is the idempotency key of a request.
func Key(key string) Option { return header("Idempotency-Key", key) }

// Epoch is the caller's fencing token.
func Epoch(epoch int) Option { return header("Saga-Epoch", strconv.Itoa(epoch)) }

// Part tells the requests of a step of several apart.
func Part(part string) Option { return header("Saga-Part", part) }

func header(name, value string) Option {
	return func(asked *request) { asked.headers[name] = value }
}

// Receipt is what "do" was answered with, for its "undo".
func Receipt(receipt any) Option { return func(asked *request) { asked.receipt = receipt } }

// Payload is what the request says, in the place of what the order does.
func Payload(payload map[string]any) Option { return func(asked *request) { asked.content = payload } }

// Timeout is how long is waited for the answer, in the place of what the manifest says.
func Timeout(timeout time.Duration) Option { return func(asked *request) { asked.timeout = timeout } }

// Call asks the participant of a step to "do" or "undo" it: its receipt, or ErrRejected or ErrUnknown, or another error
// where there is no such step, saga or part.
func (saga Saga) Call(step, verb string, options ...Option) (any, error) {
	return saga.ask(step+"/"+verb, append([]Option{header("Saga-Step", step)}, options...))
}

// Ask asks a participant for an operation, spelt "participant.verb": one of a step, or one that the manifest lists in
// operations, a query for instance. It gives what that answers, and errors as Call does.
func (saga Saga) Ask(operation string, options ...Option) (any, error) {
	return saga.ask(operation, options)
}

func (saga Saga) ask(path string, options []Option) (any, error) {
	ms, _ := strconv.Atoi(os.Getenv("SAGAFUZZ_CALL_TIMEOUT_MS"))
	asked := &request{headers: map[string]string{"Saga-Id": saga.ID}, timeout: time.Duration(ms) * time.Millisecond}
	asked.content = only(saga.Order, "item", "quantity", "amount", "account")
	for _, option := range options {
		option(asked)
	}
	content := map[string]any{}
	for name, value := range asked.content {
		content[name] = value
	}
	if asked.receipt != nil {
		content["receipt"] = asked.receipt
	}
	status, answer, err := Post(path, content, asked.headers, asked.timeout)
	switch {
	case err != nil:
		return nil, err
	case status == 200:
		return answer["receipt"], nil
	case status == 400 || status == 404:
		return nil, fmt.Errorf("%s: %v", path, answer["error"])
	case status == 409 || status == 422:
		return nil, fmt.Errorf("%w: %s: %v", ErrRejected, path, answer["error"])
	}
	return nil, fmt.Errorf("%w: %s: %v", ErrUnknown, path, answer["error"])
}

func only(order map[string]any, names ...string) map[string]any {
	found := map[string]any{}
	for _, name := range names {
		if value, there := order[name]; there {
			found[name] = value
		}
	}
	return found
}

// Write is a durable write as the harness is shown it. Outcome is what a terminal record declares; Text, in the place
// of Saga, is what is written, where the saga's id stands; Writes are the records, where a commit has several.
type Write struct {
	Record  string  `json:"record"`
	Saga    string  `json:"saga"`
	Step    string  `json:"step"`
	Epoch   int     `json:"epoch,omitempty"`
	Outcome string  `json:"outcome,omitempty"`
	Text    string  `json:"text,omitempty"`
	Writes  []Write `json:"writes,omitempty"`
	Phase   string  `json:"phase,omitempty"` // set by Durable
}

// Durable makes a durable write by commit, and shows it on both sides, so that crashes can strike there. It gives the
// error of commit, or ErrStore where the store is to fail, before the commit or after it (store_errors in the
// manifest).
func Durable(write Write, commit func() error) error {
	write.Phase = "log"
	if err := tell("log", write, ErrStore); err != nil {
		return err
	}
	if err := commit(); err != nil {
		return err
	}
	write.Phase = "logged"
	return tell("log", write, ErrStore)
}

// Note shows an ALERT, a DEAD_LETTER, an ADOPT or a CLIENT_ACK, with the fields of such an event.
func Note(kind, saga string, fields map[string]any) error {
	content := map[string]any{"kind": kind, "saga": saga}
	for name, value := range fields {
		content[name] = value
	}
	return tell("note", content, ErrUnknown)
}

// Message is something that happened to a saga. ID is the same at each delivery, Delivery counts them from 1.
type Message struct {
	Topic    string         `json:"topic"`
	Saga     string         `json:"saga"`
	Key      string         `json:"key"`
	Payload  map[string]any `json:"payload"`
	ID       string         `json:"message_id,omitempty"`
	Delivery int            `json:"delivery,omitempty"`
}

// Publish publishes a message to Receive of this system's workers, after a delay of a second at most.
func Publish(message Message, delay time.Duration) error {
	return tell("publish", struct {
		Message
		DelayMs float64 `json:"delay_ms"`
	}{message, float64(delay) / float64(time.Millisecond)}, ErrUnknown)
}

func tell(path string, content any, kind error) error {
	status, answer, err := Post(path, content, nil, 10*time.Second)
	switch {
	case err != nil || status == 200:
		return err
	case status == 400:
		return fmt.Errorf("%s: %v", path, answer["error"])
	}
	return fmt.Errorf("%w: %s: %v", kind, path, answer["error"])
}

// Folder is the case's: what is written there survives crashes.
func Folder() string { return os.Getenv("SAGAFUZZ_DIR") }

// Case is the name of that folder: it keeps cases apart on a server that they share.
func Case() string { return filepath.Base(Folder()) }

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
// Again. Else Pending are the sagas that it left open, and Recover gives those that are open now, at the start and at
// each command to recover. Status answers for a saga that this process did not drive, or that waits for a message;
// Receive handles a message, in a goroutine of its own, and where that gives an error it comes again; Cancel asks a
// saga to end. A saga that is asked for again is driven once, unless with EachRequest.
type Options struct {
	Engine      string
	TakesUp     bool
	Pending     []Saga
	Recover     func() []Saga
	Status      func(saga string) Status
	Receive     func(Message) error
	Cancel      func(saga string) error
	EachRequest bool
}

type command struct {
	ID int    `json:"id"`
	Op string `json:"op"`
	order
	Open []order `json:"open"`
	Message
}

type order struct {
	SagaID string         `json:"saga_id"`
	Order  map[string]any `json:"order"`
	Lazy   bool           `json:"lazy"`
	Steps  []struct {
		ID          string   `json:"id"`
		After       []string `json:"after"`
		WaitMs      float64  `json:"wait_ms"`
		WaitsFor    string   `json:"waits_for"`
		MaxAttempts int      `json:"max_attempts"`
		Child       *order   `json:"child"`
	} `json:"steps"`
}

func (o order) saga(again bool) Saga {
	saga := Saga{ID: o.SagaID, Order: o.Order, Lazy: o.Lazy, Again: again}
	saga.After, saga.Children = map[string][]string{}, map[string]Saga{}
	saga.Waits, saga.Signals = map[string]float64{}, map[string]string{}
	for _, step := range o.Steps {
		saga.Steps = append(saga.Steps, step.ID)
		saga.After[step.ID] = step.After
		if step.WaitMs > 0 {
			saga.Waits[step.ID] = step.WaitMs
		}
		if step.WaitsFor != "" {
			saga.Signals[step.ID] = step.WaitsFor
		}
		if step.Child != nil {
			step.Child.Order = o.Order
			saga.Children[step.ID] = step.Child.saga(false)
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

// Serve takes commands until standard input ends, and ends the process then. Each saga is driven in a goroutine; one
// that panics is told of, with its stack on standard error. What anything else writes to standard output goes there
// too.
func Serve(drive func(Saga) Status, options Options) {
	WaitForCase()
	in, out, err := keptApart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := &server{Options: options, drive: drive, out: out, known: map[string]Status{}}
	for _, saga := range s.open() {
		s.begin(saga, false)
	}
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		var asked command
		if err := json.Unmarshal(line, &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		switch asked.Op {
		case "status", "cancel", "receive": // which may take their time
			go s.answer(asked)
		default:
			s.answer(asked)
		}
	}
}

func (s *server) open() []Saga {
	if s.Recover == nil {
		return s.Pending
	}
	return append(s.Recover(), s.Pending...)
}

func (s *server) answer(asked command) {
	answer := map[string]any{"id": asked.ID}
	var taken []Saga
	var err error
	switch {
	case asked.Op == "hello":
		answer["protocol"], answer["engine"] = 1, s.Engine
		for _, order := range asked.Open {
			if s.TakesUp {
				taken = append(taken, order.saga(true))
			}
		}
	case asked.Op == "start":
		taken = append(taken, asked.saga(false))
	case asked.Op == "status":
		found := s.status(asked.SagaID)
		answer["status"], answer["step"] = found.Status, found.Step
		answer["reason"], answer["stray"] = found.Reason, found.Stray
	case asked.Op == "recover":
		taken = s.open()
	case asked.Op == "cancel" && s.Cancel != nil:
		err = caught(func() error { return s.Cancel(asked.SagaID) })
	case asked.Op == "receive" && s.Receive != nil:
		asked.Message.Saga = asked.SagaID
		err = caught(func() error { return s.Receive(asked.Message) })
	default:
		answer["error"], answer["definite"] = "no such command: "+asked.Op, true
	}
	if err != nil {
		answer["error"], answer["definite"] = err.Error(), false
	}
	s.say(answer)
	for _, saga := range taken { // after the answer, so that a crash in its first step finds it taken
		s.begin(saga, asked.Op == "start")
	}
}

// caught does the work; a panic becomes an error, as in a handler of net/http.
func caught(work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", value, debug.Stack())
			err = fmt.Errorf("panic: %v", value)
		}
	}()
	return work()
}

func (s *server) status(id string) Status {
	s.mutex.Lock()
	found, there := s.known[id]
	s.mutex.Unlock()
	if s.Status != nil && (!there || (s.Receive != nil && found == Running)) {
		if said := s.Status(id); !there || said.Status != "unknown" { // else it waits for a message
			return said
		}
	}
	if !there {
		return Status{Status: "unknown", Reason: "it was never started"}
	}
	return found
}

func (s *server) begin(saga Saga, asked bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, there := s.known[saga.ID]; there && !(asked && s.EachRequest) {
		return
	}
	s.known[saga.ID] = Running
	go func() {
		var status Status
		if err := caught(func() error { status = s.drive(saga); return nil }); err != nil {
			status = Failed(err)
		}
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
