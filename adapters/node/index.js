// A live worker in a few lines: the protocol of docs/live.md, for sagas on Node, with nothing but its own modules.
//
//     import { attempt, serve } from "sagafuzz-worker";
//
//     serve(async (saga) => {
//       for (const step of saga.steps) await attempt(saga, step, "do", { key: `${saga.id}/${step}` });
//       return "completed";
//     });

"use strict";

const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const path = require("node:path");
const readline = require("node:readline");

class Rejected extends Error {} // definite: nothing was applied
class Unknown extends Error {} // an error or no answer: it may have been applied, or may yet be
class StoreUnavailable extends Unknown {} // a durable write failed: before it was durable, or after
const REFUSED = Object.freeze({ refused: true });

const STATUSES = { true: "completed", false: "compensated", stuck: "failed_stuck", pending: "running" };
const WORDS = ["completed", "compensated", "failed_stuck", "running", "unknown"]; // the protocol's own

// Wait for a case, where the manifest says `ahead = true`: what stands before it is done in advance. `serve` does it
// too.
function waitForCase() {
  if (!process.env.SAGAFUZZ_WAITS) return;
  const [bytes, one] = [[], Buffer.alloc(1)];
  while (readNow(one) && one[0] !== 10) bytes.push(one[0]); // and nothing of what follows
  if (!bytes.length) process.exit(0);
  delete process.env.SAGAFUZZ_WAITS;
  Object.assign(process.env, JSON.parse(Buffer.from(bytes).toString()).env);
}

// One read of standard input, which waits also where a library made it non-blocking.
function readNow(buffer) {
  for (;;) {
    try {
      return fs.readSync(0, buffer);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

// Send JSON to the harness: the HTTP status, and the object that was answered. Rejects with Unknown where none came.
function post(path, content, headers = {}, timeoutMs = 10_000) {
  return new Promise((resolve, reject) => {
    const own = { "content-type": "application/json", authorization: `Bearer ${process.env.SAGAFUZZ_TOKEN}` };
    const options = { method: "POST", agent: false, headers: { ...own, ...headers } };
    const failed = (why) => (clearTimeout(timer), reject(new Unknown(`${path}: ${why}`)));
    const request = http.request(`${process.env.SAGAFUZZ_URL}/${path}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("error", () => failed("the answer broke off"));
      response.on("end", () => {
        try {
          const answer = JSON.parse(text);
          clearTimeout(timer);
          resolve([response.statusCode, answer]);
        } catch (error) {
          failed(error.message);
        }
      });
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on("error", (error) => failed(error.message));
    request.end(JSON.stringify(content));
  });
}

// Ask the participant of a step to "do" or "undo" it: its receipt. Rejects with Rejected or Unknown, or a plain Error
// where there is no such step, saga or part. `payload` takes the place of what the order says; `epoch` is the caller's
// fencing token, `part` tells the requests of a step of several apart.
function call(saga, step, verb, options = {}) {
  return asked(saga, `${step}/${verb}`, options, { "Saga-Step": step });
}

// Ask a participant for an operation, spelt "participant.verb": one of a step, or one that the manifest lists in
// `operations`, a query for instance. Gives what it answers, and rejects as `call` does.
function ask(saga, operation, options = {}) {
  return asked(saga, operation, options, {});
}

async function asked(saga, path, { key, receipt, payload, epoch, part, timeoutMs }, more) {
  const { item, quantity, amount, account } = saga.order;
  const content = { ...(payload ?? { item, quantity, amount, account }), ...(receipt ? { receipt } : {}) };
  const headers = { "Saga-Id": saga.id, ...more };
  if (key) headers["Idempotency-Key"] = key;
  if (epoch) headers["Saga-Epoch"] = String(epoch);
  if (part !== undefined) headers["Saga-Part"] = part;
  const waits = timeoutMs ?? Number(process.env.SAGAFUZZ_CALL_TIMEOUT_MS);
  const [status, answer] = await post(path, content, headers, waits);
  if (status === 200) return answer.receipt;
  const kind = { 400: Error, 404: Error, 409: Rejected, 422: Rejected }[status] ?? Unknown;
  throw new kind(`${path}: ${answer.error}`);
}

// Make a durable write by `commit`, and show it on both sides, so that crashes can strike there: {saga, step, epoch,
// outcome}, or `text` in which a saga's id stands, or `writes` where a commit has several records. Gives what `commit`
// does. Rejects with StoreUnavailable where the store is to fail, before the commit or after it (`store_errors`).
async function durable(record, fields, commit) {
  const show = (phase) => told("log", { record, ...fields, phase }, StoreUnavailable);
  await show("log");
  const given = await commit();
  await show("logged");
  return given;
}

// Show an ALERT, a DEAD_LETTER, an ADOPT or a CLIENT_ACK of {saga}, with the fields of such an event.
function note(kind, fields) {
  return told("note", { kind, ...fields }, Unknown);
}

// Publish a message to `receive` of this system's workers: {saga, key, delayMs, payload}; it waits a second at most.
function publish(topic, { saga, key = "", delayMs = 0, payload = {} }) {
  return told("publish", { topic, saga, key, delay_ms: delayMs, payload }, Unknown);
}

async function told(path, content, kind) {
  const [status, answer] = await post(path, content);
  if (status !== 200) throw new (status === 400 ? Error : kind)(`${path}: ${answer.error}`);
}

// The case's folder, where what is written survives crashes; and its name, which keeps cases apart on a shared server.
const folder = () => process.env.SAGAFUZZ_DIR;
const caseName = () => path.basename(folder());

// `call`, as the step of an engine may return it: the receipt, or REFUSED. Rejects with Unknown.
async function attempt(saga, step, verb, options) {
  try {
    return await call(saga, step, verb, options);
  } catch (error) {
    if (error instanceof Rejected) return REFUSED;
    throw error;
  }
}

// The steps of a saga in lists, those of one list at once.
function layers(saga) {
  const depth = {};
  const found = [];
  for (const step of saga.steps) {
    depth[step] = 1 + Math.max(-1, ...(saga.after[step] ?? []).map((earlier) => depth[earlier]));
    (found[depth[step]] ??= []).push(step);
  }
  return found;
}

// The saga of a command to start it, as JSON can hold it: the input of a workflow. `children` are, by the step, the
// sagas that are steps of it; `waits` are milliseconds before a step, `signals` the topic of a message before it.
function requested({ saga_id, order, steps, lazy = false }, again = false) {
  const by = (name) => Object.fromEntries(steps.filter((step) => step[name]).map((step) => [step.id, step[name]]));
  const attempts = Math.max(0, ...steps.map((step) => step.max_attempts ?? 0));
  const names = steps.map((step) => step.id);
  const nested = Object.entries(by("child")).map(([step, child]) => [step, requested({ ...child, order })]);
  const before = { after: by("after"), waits: by("wait_ms"), signals: by("waits_for") };
  return { id: saga_id, order, steps: names, ...before, children: Object.fromEntries(nested), attempts, lazy, again };
}

// Take commands until standard input ends. `drive` runs a saga; it gives a status, true, false, "stuck", "pending", a
// word that `statuses` maps to one of these, or {status, step, reason}. An engine that goes on by itself `takesUp`:
// what an earlier process had taken is driven here with `again`. Else `pending` are the sagas that it left open, or a
// function that gives them, now and at each command to recover. All functions may be async. `status(id)` answers for a
// saga that this process did not drive, or that waits for a message; `receive({topic, saga, key, payload, id,
// delivery})` handles a message, which comes again where that throws; `cancel(id)` asks a saga to end. One that is
// asked for again is driven once, unless with `eachRequest`. What anybody writes to standard output goes to standard
// error. With control: "http" commands come over HTTP.
function serve(drive, options = {}) {
  const { engine = "", takesUp = false, pending = [], statuses = {}, control = "stdio" } = options;
  const { status, cancel, receive, eachRequest = false } = options;
  waitForCase();
  const known = new Map();
  let tell = () => {};
  const ended = (saga, how) => {
    known.set(saga.id, how);
    tell({ event: "status", saga_id: saga.id, ...how });
  };
  const begin = (saga, asked = false) => {
    if (known.has(saga.id) && !(asked && eachRequest)) return;
    known.set(saga.id, { status: "running" });
    Promise.resolve(saga)
      .then(drive)
      .then((outcome) => ended(saga, standing(outcome, statuses)))
      .catch((error) => ended(saga, failed(error)));
  };
  const left = async () => (typeof pending === "function" ? pending() : pending);
  const commands = {
    hello: ({ open = [] }, taken) => {
      if (takesUp) taken.push(...open.map((order) => requested(order, true)));
      return { protocol: 1, engine };
    },
    start: (command, taken) => void taken.push(requested(command)),
    status: async ({ saga_id }) => {
      const found = () => known.get(saga_id);
      if (!status || (found() && !(receive && found().status === "running"))) return found() ?? { status: "unknown" };
      const said = standing(await status(saga_id), statuses);
      return found() && said.status === "unknown" ? found() : said; // else it waits for a message
    },
    recover: async (_, taken) => void taken.push(...(await left())),
    ...(cancel && { cancel: async ({ saga_id }) => void (await cancel(saga_id)) }),
    ...(receive && {
      receive: async ({ saga_id: saga, message_id: id, topic, key, payload, delivery }) =>
        void (await receive({ topic, saga, key, payload, id, delivery })),
    }),
  };
  const answer = async (name, command, say) => {
    const taken = [];
    try {
      if (!Object.hasOwn(commands, name)) say({ error: `no such command: ${name}`, definite: true });
      else say((await commands[name](command, taken)) ?? {});
    } catch (error) {
      say({ error: String(error), definite: false });
    }
    for (const saga of taken) begin(saga, name === "start"); // after the answer, so that a crash finds it taken
  };
  const listen = () => (tell = (control === "http" ? overHttp : overStdio)(answer));
  if (typeof pending !== "function") return pending.forEach((saga) => begin(saga)), void listen();
  left().then((sagas) => (sagas.forEach((saga) => begin(saga)), listen()));
}

function standing(outcome, statuses) {
  if (outcome !== null && typeof outcome === "object") return outcome;
  const word = statuses[outcome] ?? outcome;
  const status = STATUSES[word] ?? word;
  if (WORDS.includes(status)) return { status };
  throw new Error(`a saga's status is ${outcome}; give one of ${WORDS.join(", ")}`);
}

function failed(error) {
  const stray = !(error instanceof Rejected || error instanceof Unknown);
  if (stray) console.error(error);
  return { status: "unknown", reason: String(error), stray };
}

function overStdio(answer) {
  const [input, write] = keptApart();
  const say = (content) => write(`${JSON.stringify(content)}\n`);
  readline
    .createInterface({ input })
    .on("line", (line) => {
      const command = JSON.parse(line);
      answer(command.op, command, (content) => say({ id: command.id, ...content }));
    })
    .on("close", () => process.exit(0));
  return say;
}

// The protocol's own input and output. The harness gives one socket as both: then descriptor 1 becomes standard error.
function keptApart() {
  if (fs.fstatSync(0).isSocket()) {
    const socket = new net.Socket({ fd: 0, readable: true, writable: true });
    fs.closeSync(1);
    fs.openSync("/dev/stderr", "a"); // takes the lowest free number: 1
    return [socket, (text) => socket.write(text)];
  }
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return [process.stdin, write];
}

function overHttp(answer) {
  const server = http.createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const allowed = request.headers.authorization === `Bearer ${process.env.SAGAFUZZ_TOKEN}`;
      const say = (content) =>
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(content));
      if (allowed) answer(request.url.slice(1), JSON.parse(text), say);
      else say({ error: "not for you", definite: true });
    });
  });
  server.listen(0, "127.0.0.1", () => post("hello", { control: `http://127.0.0.1:${server.address().port}` }));
  return () => {};
}

module.exports = {
  REFUSED,
  Rejected,
  StoreUnavailable,
  Unknown,
  ask,
  attempt,
  call,
  caseName,
  durable,
  folder,
  layers,
  note,
  post,
  publish,
  serve,
  waitForCase,
};
