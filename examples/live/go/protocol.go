// The worker's side of the protocol of docs/live.md, with nothing but Go's own packages: commands come as lines.

package main

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
	"time"
)

var errRejected = errors.New("refused") // definite: nothing was applied
var errUnknown = errors.New("unknown")  // an error or no answer: it may have been applied, or may yet be

type Saga struct {
	ID    string         `json:"id"`
	Order map[string]any `json:"order"`
	Steps []string       `json:"steps"`
}

type Status struct {
	Status string `json:"status"`
	Step   string `json:"step,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func post(path string, content map[string]any, headers map[string]string, timeout time.Duration) (int, map[string]any, error) {
	body, _ := json.Marshal(content)
	request, _ := http.NewRequest("POST", os.Getenv("SAGAFUZZ_URL")+"/"+path, bytes.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+os.Getenv("SAGAFUZZ_TOKEN"))
	request.GetBody = nil // so that Go's client never sends it again by itself
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %v", errUnknown, err)
	}
	defer response.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, nil, fmt.Errorf("%w: %v", errUnknown, err)
	}
	return response.StatusCode, answer, nil
}

func call(saga Saga, step, verb, key string, receipt any) (any, error) {
	content := map[string]any{}
	for _, name := range []string{"item", "quantity", "amount", "account"} {
		content[name] = saga.Order[name]
	}
	if receipt != nil {
		content["receipt"] = receipt
	}
	headers := map[string]string{"Saga-Id": saga.ID, "Saga-Step": step}
	if key != "" {
		headers["Idempotency-Key"] = key
	}
	ms, _ := strconv.Atoi(os.Getenv("SAGAFUZZ_CALL_TIMEOUT_MS"))
	status, answer, err := post(step+"/"+verb, content, headers, time.Duration(ms)*time.Millisecond)
	switch {
	case err != nil:
		return nil, err
	case status == 200:
		return answer["receipt"], nil
	case status == 409 || status == 422:
		return nil, fmt.Errorf("%w: %v", errRejected, answer["error"])
	}
	return nil, fmt.Errorf("%w: %v", errUnknown, answer["error"])
}

type worker struct {
	engine string
	drive  func(Saga) Status
	mutex  sync.Mutex
	known  map[string]Status
}

// serve takes commands until standard input ends; pending are the sagas that an earlier process left open.
func serve(engine string, drive func(Saga) Status, pending []Saga) {
	w := &worker{engine: engine, drive: drive, known: map[string]Status{}}
	for _, saga := range pending {
		w.begin(saga)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var request struct {
			ID     int            `json:"id"`
			Op     string         `json:"op"`
			SagaID string         `json:"saga_id"`
			Order  map[string]any `json:"order"`
			Steps  []struct {
				ID string `json:"id"`
			} `json:"steps"`
		}
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answer := map[string]any{"id": request.ID}
		switch request.Op {
		case "hello":
			answer["protocol"], answer["engine"] = 1, w.engine
		case "start":
			saga := Saga{ID: request.SagaID, Order: request.Order}
			for _, step := range request.Steps {
				saga.Steps = append(saga.Steps, step.ID)
			}
			w.begin(saga)
		case "status":
			answer["status"], answer["step"], answer["reason"] = w.status(request.SagaID)
		case "recover":
		default:
			answer["error"], answer["definite"] = "no such command: "+request.Op, true
		}
		w.say(answer)
	}
}

func (w *worker) status(id string) (string, string, string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	found, there := w.known[id]
	if !there {
		return "unknown", "", "it was never started"
	}
	return found.Status, found.Step, found.Reason
}

func (w *worker) begin(saga Saga) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, there := w.known[saga.ID]; there {
		return
	}
	w.known[saga.ID] = Status{Status: "running"}
	go func() {
		status := w.drive(saga)
		w.mutex.Lock()
		w.known[saga.ID] = status
		w.mutex.Unlock()
		told := map[string]any{"event": "status", "saga_id": saga.ID, "status": status.Status}
		told["step"], told["reason"] = status.Step, status.Reason
		w.say(told)
	}()
}

func (w *worker) say(content map[string]any) {
	line, _ := json.Marshal(content)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	os.Stdout.Write(append(line, '\n'))
}
