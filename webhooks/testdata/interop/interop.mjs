// Signs and verifies webhooks with implementations that are not written in Go.
//
// It reads one job a line from the standard input and writes one answer a line:
//
//   {"do": "sign", "with": "standardwebhooks", "secret": "...", "rule": "bytes" or "decoded", "id": "...", "at": 0, "body": "..."}
//   {"do": "verify", "with": "standardwebhooks" or "polar", "secret": "...", "rule": "...", "header": {...}, "body": "..."}
//
// Bodies are base64, so that any bytes pass.

import { createInterface } from "node:readline";
import { webhooks } from "@polar-sh/sdk/2026-10";
import { Webhook } from "standardwebhooks";

// Polar's server hands the base64 of the whole secret to the library, which decodes it again.
const webhook = (job) =>
  job.rule === "bytes" ? new Webhook(Buffer.from(job.secret, "utf8").toString("base64")) : new Webhook(job.secret);

const body = (job) => Buffer.from(job.body, "base64");

const work = {
  "sign standardwebhooks": (job) => ({
    signature: webhook(job).sign(job.id, new Date(job.at * 1000), body(job).toString("utf8")),
  }),
  "verify standardwebhooks": (job) => ({ type: webhook(job).verify(body(job), job.header).type }),
  "verify polar": async (job) => ({ type: (await webhooks.validateEvent(body(job), job.header, job.secret)).type }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let answer;
  try {
    answer = { ok: true, ...(await work[`${job.do} ${job.with}`](job)) };
  } catch (error) {
    answer = { ok: false, error: error.name };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
