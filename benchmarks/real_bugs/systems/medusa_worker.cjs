// The checkout on Medusa's workflows, as a live worker: its three steps at once, the order's under a name of its own.
// A step returns what its undo needs, the receipt; a payment that is refused fails its step, and Medusa undoes the others.
const { createStep, createWorkflow, parallelize, StepResponse, WorkflowResponse } = require("@medusajs/workflows-sdk");
const path = require("node:path");
const readline = require("node:readline");

const { version } = require(path.join(require.resolve("@medusajs/workflows-sdk"), "../../package.json"));

const statuses = new Map();
const say = (content) => process.stdout.write(JSON.stringify(content) + "\n");
console.log = console.info = console.warn = console.error; // standard output is the protocol's

async function ask(saga, step, verb, receipt) {
  const answer = await fetch(`${process.env.SAGAFUZZ_URL}/${step}/${verb}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${process.env.SAGAFUZZ_TOKEN}`,
      "content-type": "application/json",
      "saga-id": saga.id,
      "saga-step": step,
      "idempotency-key": `${saga.id}/${step}`,
    },
    body: JSON.stringify({ ...saga.order, ...(receipt && { receipt }) }),
    signal: AbortSignal.timeout(Number(process.env.SAGAFUZZ_CALL_TIMEOUT_MS)),
  });
  if (answer.status !== 200) throw new Error(`${step}: ${answer.status}`);
  return (await answer.json()).receipt;
}

const step = (name) =>
  createStep(
    { name, maxRetries: 3 },
    async (saga) => {
      const receipt = await ask(saga, name, "do");
      return new StepResponse(receipt, { saga, receipt });
    },
    async (done) => {
      if (done) await ask(done.saga, name, "undo", done.receipt);
    },
  );

const [order, inventory, payment] = ["order", "inventory", "payment"].map(step);
const checkout = createWorkflow("checkout", (saga) =>
  new WorkflowResponse(parallelize(order(saga).config({ name: "the-order" }), inventory(saga), payment(saga))),
);

async function drive(command) {
  const { item, quantity, amount, account } = command.order;
  const saga = { id: command.saga_id, order: { item, quantity, amount, account } };
  const { errors } = await checkout.run({ input: saga, throwOnError: false });
  statuses.set(saga.id, errors.length ? "compensated" : "completed");
  say({ event: "status", saga_id: saga.id, status: statuses.get(saga.id) });
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  const answers = {
    hello: () => ({ protocol: 1, engine: `medusa ${version}` }),
    start: () => ({}),
    status: () => ({ status: statuses.get(command.saga_id) ?? "unknown" }),
  };
  say({ id: command.id, ...(answers[command.op]?.() ?? { error: `unknown ${command.op}`, definite: true }) });
  if (command.op === "start" && !statuses.has(command.saga_id)) {
    statuses.set(command.saga_id, "running");
    drive(command);
  }
}).on("close", () => process.exit(0));
