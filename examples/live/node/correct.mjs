// A checkout on a durable log, a file that is synced at each line: what it intends is written before it is asked,
// and what is unknown is undone.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Rejected, Unknown, call, post, serve } from "../../../adapters/node/index.js";

const [FORWARD_ATTEMPTS, UNDO_ATTEMPTS, PAUSE_MS] = [3, 4, 20];

const file = path.join(process.env.SAGAFUZZ_DIR, "log.ndjson");
const states = new Map();
for (const line of fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : []) {
  if (!line.endsWith("}")) continue; // the last one may be cut short
  const state = JSON.parse(line);
  states.set(state.id, state);
}
const log = fs.openSync(file, "a");
if (fs.fstatSync(log).size) fs.writeSync(log, "\n");

async function save(state, record, step = "") {
  await post("log", { phase: "log", record, saga: state.id, step });
  fs.writeSync(log, JSON.stringify(state) + "\n");
  fs.fsyncSync(log);
  await post("log", { phase: "logged", record, saga: state.id, step });
}

async function checkout(saga) {
  let state = states.get(saga.id);
  if (!state) {
    const { id, order, steps } = saga;
    state = { id, order, steps, begun: [], receipts: {}, undone: [], phase: "forward" };
    await save(state, "create");
  }
  if (state.phase === "forward" && (await forward(saga, state))) return end(state, { status: "completed" });
  if (state.phase === "forward") {
    state.phase = "compensating";
    await save(state, "compensating");
  }
  return state.phase === "compensating" ? end(state, await backward(saga, state)) : state.end;
}

async function forward(saga, state) {
  for (const step of saga.steps) {
    if (state.receipts[step]) continue;
    if (!state.begun.includes(step)) {
      state.begun.push(step);
      await save(state, "intent", step);
    }
    try {
      state.receipts[step] = await ask(saga, step, "do", FORWARD_ATTEMPTS);
    } catch (error) {
      if (error instanceof Rejected) state.begun.pop(); // definite, since every attempt had one key
      else if (!(error instanceof Unknown)) throw error;
      return false;
    }
    await save(state, "outcome", step);
  }
  return true;
}

async function backward(saga, state) {
  for (const step of [...state.begun].reverse()) {
    if (state.undone.includes(step)) continue;
    try {
      await ask(saga, step, "undo", UNDO_ATTEMPTS, state.receipts[step]);
    } catch {
      state.stuck = step; // for a person; the steps before it are undone all the same
      await save(state, "stuck", step);
      continue;
    }
    state.undone.push(step);
    await save(state, "undone", step);
  }
  return state.stuck ? { status: "failed_stuck", step: state.stuck } : { status: "compensated" };
}

async function ask(saga, step, verb, attempts, receipt) {
  for (;;) {
    try {
      return await call(saga, step, verb, { key: `${saga.id}/${step}`, receipt });
    } catch (error) {
      if (!(error instanceof Unknown) || --attempts === 0) throw error;
    }
    await sleep(PAUSE_MS);
  }
}

async function end(state, answer) {
  state.phase = "ended";
  state.end = answer;
  await save(state, "terminal");
  return answer;
}

serve(checkout, { engine: `correct on node ${process.version}`, pending: [...states.values()], control: "http" });
