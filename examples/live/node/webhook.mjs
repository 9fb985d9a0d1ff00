// A shop that ships when the webhook of the payment service says that an order was charged. The webhook may come before
// the answer to the charge. The naive shop ships what its record says is paid; the correct one believes the webhook,
// and ships what is not over.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Rejected, Unknown, call, durable, folder, note, serve } from "../../../adapters/node/index.js";

const [kind] = process.argv.slice(2);
const file = path.join(folder(), "orders.ndjson");
const log = fs.openSync(file, "a");

// The orders by their ids: each line of the log adds to what is known of one.
function orders() {
  const found = {};
  for (const line of fs.readFileSync(file, "utf8").split("\n")) {
    if (!line.endsWith("}")) continue; // it was cut short
    const change = JSON.parse(line);
    found[change.id] = { ...found[change.id], ...change };
  }
  return found;
}

function keep(id, record, change) {
  return durable(record, { saga: id, outcome: change.over }, () => {
    fs.writeSync(log, `\n${JSON.stringify({ id, ...change })}`);
    fs.fsyncSync(log);
  });
}

async function sell(saga) {
  const order = orders()[saga.id];
  if (order?.over) return order.over;
  if (!order) await keep(saga.id, "create", { saga });
  try {
    for (const step of ["order", "payment"]) await ask(saga, step, "do");
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    await ask(saga, "order", "undo");
    await keep(saga.id, "terminal", { over: "compensated" });
    return "compensated";
  }
  await keep(saga.id, "paid", { paid: true });
  if (!orders()[saga.id].over) await note("CLIENT_ACK", { saga: saga.id, outcome: "pending" });
  return status(saga.id);
}

async function receive({ saga: id }) {
  const order = orders()[id];
  if (kind === "naive" && !order.paid) return;
  if (!order.over) {
    await ask(order.saga, "shipping", "do");
    await keep(id, "terminal", { over: "completed" });
  }
  await note("CLIENT_ACK", { saga: id, outcome: "completed" });
}

function status(id) {
  const order = orders()[id];
  return order ? (order.over ?? "pending") : "unknown";
}

async function ask(saga, step, verb) {
  for (;;) {
    try {
      return await call(saga, step, verb, { key: `${saga.id}/${step}` });
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
    }
    await sleep(20);
  }
}

const pending = () => Object.values(orders()).flatMap((order) => (order.over ? [] : [order.saga]));

serve(sell, { engine: `${kind} on node ${process.version}`, control: "http", pending, status, receive });
