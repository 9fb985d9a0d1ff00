// The checkout on DBOS Transact for TypeScript, as a live worker.   dbos_ts_worker.mjs recommended|hardened|migrate
//
// Recommended: as DBOS's documentation writes a checkout: requests are steps with retries, a refusal is a value, and the
// workflow undoes what it knows to be done. Hardened: with keys of workflow and step, the undo of what is not known, and
// a person for an undo that keeps failing. DBOS keeps its state in PostgreSQL, DBOS_POSTGRES by way of the proxy and
// DBOS_DIRECT past it; with executor id and version fixed it recovers what was pending as it launches. `migrate` makes its
// tables once, in a template that each case has a copy of.

import { createRequire } from "node:module";
import path from "node:path";
import { Unknown, attempt, layers, serve, waitForCase } from "./node/index.js";

const require = createRequire(import.meta.url); // which finds what NODE_PATH has
const { DBOS } = require("@dbos-inc/dbos-sdk");
const { Client } = require("pg");
const [TEMPLATE, TRIED_ENOUGH, LOST] = ["engine_template", 23, { lost: true }];
const name = process.argv[2];
const [hardened, migrates] = [name === "hardened", name === "migrate"];

async function checkout(saga) {
  const begun = {};
  const retries = { retriesAllowed: true, maxAttempts: saga.attempts || 3, intervalSeconds: 0.02, backoffRate: 1 };
  const asked = (step, verb) => {
    const options = { key: hardened ? `${DBOS.workflowID}/${step}` : undefined, receipt: begun[step]?.receipt };
    const asking = DBOS.runStep(() => attempt(saga, step, verb, options), { name: `${verb} ${step}`, ...retries });
    return asking.catch((error) => {
      if (hardened && error.dbosErrorCode === TRIED_ENOUGH) return LOST;
      throw error; // also what says that another process has the workflow
    });
  };
  for (const layer of layers(saga)) {
    for (const step of layer) if (step in saga.waits) await DBOS.sleep(saga.waits[step]);
    const answers = await all(layer.map((step) => asked(step, "do")));
    layer.forEach((step, n) => answers[n].refused || (begun[step] = { receipt: answers[n] }));
    if (answers.every((answer) => !answer.refused && !answer.lost)) continue;
    const undone = [];
    for (const earlier of layers(saga).reverse()) {
      undone.push(...(await all(earlier.filter((step) => step in begun).map((step) => asked(step, "undo")))));
    }
    return undone.includes(LOST) ? "stuck" : "compensated";
  }
  return "completed";
}

async function all(promises) {
  const ended = await Promise.allSettled(promises);
  for (const { status, reason } of ended) if (status === "rejected") throw reason;
  return ended.map(({ value }) => value);
}

async function drive(saga) {
  const handle = await DBOS.startWorkflow(workflow, { workflowID: saga.id })(saga); // or the one that is there
  return handle.getResult({ pollingIntervalMs: 20 }).catch((error) => {
    throw new Unknown(error.message); // the workflow's end is ERROR: its client learns no more than that
  });
}

async function fresh() {
  const database = path.basename(process.env.SAGAFUZZ_DIR).toLowerCase();
  const client = new Client(`${process.env.DBOS_DIRECT}/postgres`);
  await client.connect();
  const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
  if (!rowCount) await client.query(`CREATE DATABASE "${database}" TEMPLATE ${TEMPLATE}`);
  await client.end();
  return database;
}

waitForCase();
const { DBOS_POSTGRES, DBOS_DIRECT } = process.env;
const systemDatabaseUrl = migrates ? `${DBOS_DIRECT}/${TEMPLATE}` : `${DBOS_POSTGRES}/${await fresh()}`;
const workflow = DBOS.registerWorkflow(checkout, { name: "checkout" });
const who = { name: "checkout", executorID: "worker", applicationVersion: "1", logLevel: "error" };
DBOS.setConfig({ ...who, systemDatabaseUrl, runMigrations: migrates });
await DBOS.launch();
if (migrates) {
  await DBOS.shutdown();
} else {
  const { version } = require(path.resolve(require.resolve("@dbos-inc/dbos-sdk"), "../../../package.json"));
  serve(drive, { engine: `dbos-ts ${version}, ${name}`, takesUp: true });
}
