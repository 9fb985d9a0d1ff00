// A shop that ships when the webhook of the payment service says that an order was charged. The webhook may come before
// the answer to the charge. The naive shop ships what its record says is paid; the correct one believes the webhook,
// and ships what is not over.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"sagafuzz/worker"
)

type sale struct {
	ID   string      `json:"id"`
	Saga worker.Saga `json:"saga"`
	Paid bool        `json:"paid"`
	Over string      `json:"over"`
}

type shop struct {
	naive bool
	log   *os.File
}

func openShop(naive bool) *shop {
	path := filepath.Join(worker.Folder(), "orders.ndjson")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return &shop{naive: naive, log: file}
}

// sales are the orders by their ids: each line of the log adds to what is known of one.
func (s *shop) sales() map[string]*sale {
	text, _ := os.ReadFile(s.log.Name())
	found := map[string]*sale{}
	for _, line := range bytes.Split(text, []byte("\n")) {
		var one struct{ ID string }
		if json.Unmarshal(line, &one) != nil { // it was cut short
			continue
		}
		if found[one.ID] == nil {
			found[one.ID] = &sale{}
		}
		json.Unmarshal(line, found[one.ID])
	}
	return found
}

func (s *shop) keep(id, record string, change map[string]any) error {
	outcome, _ := change["over"].(string)
	return worker.Durable(worker.Write{Record: record, Saga: id, Outcome: outcome}, func() error {
		change["id"] = id
		line, _ := json.Marshal(change)
		if _, err := s.log.Write(append([]byte("\n"), line...)); err != nil {
			return err
		}
		return s.log.Sync()
	})
}

func (s *shop) sell(saga worker.Saga) worker.Status {
	order, known := s.sales()[saga.ID]
	if known && order.Over != "" {
		return worker.Status{Status: order.Over}
	}
	if err := s.buy(saga, known); errors.Is(err, worker.ErrRejected) {
		return s.refused(saga)
	} else if err != nil {
		return worker.Failed(err)
	}
	if s.sales()[saga.ID].Over == "" {
		worker.Note("CLIENT_ACK", saga.ID, map[string]any{"outcome": "pending"})
	}
	return s.status(saga.ID)
}

func (s *shop) buy(saga worker.Saga, known bool) error {
	if !known {
		if err := s.keep(saga.ID, "create", map[string]any{"saga": saga}); err != nil {
			return err
		}
	}
	for _, step := range []string{"order", "payment"} {
		if err := again(saga, step, "do"); err != nil {
			return err
		}
	}
	return s.keep(saga.ID, "paid", map[string]any{"paid": true})
}

func (s *shop) refused(saga worker.Saga) worker.Status {
	if err := again(saga, "order", "undo"); err != nil {
		return worker.Failed(err)
	}
	if err := s.keep(saga.ID, "terminal", map[string]any{"over": "compensated"}); err != nil {
		return worker.Failed(err)
	}
	return worker.Compensated
}

func (s *shop) receive(message worker.Message) error {
	order := s.sales()[message.Saga]
	if s.naive && !order.Paid {
		return nil
	}
	if order.Over == "" {
		if err := again(order.Saga, "shipping", "do"); err != nil {
			return err
		}
		if err := s.keep(message.Saga, "terminal", map[string]any{"over": "completed"}); err != nil {
			return err
		}
	}
	return worker.Note("CLIENT_ACK", message.Saga, map[string]any{"outcome": "completed"})
}

func (s *shop) status(id string) worker.Status {
	order, known := s.sales()[id]
	switch {
	case !known:
		return worker.NotKnown
	case order.Over == "":
		return worker.Running
	}
	return worker.Status{Status: order.Over}
}

func (s *shop) open() []worker.Saga {
	var found []worker.Saga
	for _, order := range s.sales() {
		if order.Over == "" {
			found = append(found, order.Saga)
		}
	}
	return found
}

// again asks until it is known what became of it.
func again(saga worker.Saga, step, verb string) error {
	for {
		_, err := saga.Call(step, verb, worker.Key(saga.ID+"/"+step))
		if !errors.Is(err, worker.ErrUnknown) {
			return err
		}
		time.Sleep(pause)
	}
}
