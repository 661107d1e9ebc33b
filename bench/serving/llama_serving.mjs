// llama.cpp with several sequences in one context, by node-llama-cpp: node llama_serving.mjs GGUF THREADS. The package
// batches what its sequences have to do. What it is asked, and answers: serving_worker.py.
import fs from "node:fs";
import { contextFor, logits, secondsSince, serve } from "../cpu/llama.mjs";

let prompts;
let longPrompts;

class Run {
  constructor() {
    this.begin = performance.now();
    this.requests = [];
    this.isOver = false;
  }

  now() {
    return secondsSince(this.begin);
  }

  submit(kind, prompt) {
    const request = { kind, prompt: prompt.tokens.length, submitted: this.now(), started: null, times: [], ids: [] };
    this.requests.push(request);
    return request;
  }

  async answer(request, sequence, { tokens, new: count }, afterToken = () => {}) {
    await sequence.clearHistory();
    request.started = this.now();
    for await (const token of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
      if (this.isOver) {
        break;
      }
      request.times.push(this.now());
      request.ids.push(token);
      afterToken();
      if (request.ids.length === count) {
        break;
      }
    }
  }

  // Sends prompts, the next when the last is answered; nextIndex is shared by those who send the same ones.
  async sendInTurn(kind, sequence, from, nextIndex) {
    while (!this.isOver) {
      const prompt = from[nextIndex() % from.length];
      await this.answer(this.submit(kind, prompt), sequence, prompt);
    }
  }

  async waitUntil(seconds) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(0, seconds - this.now())));
  }

  // When the time is over: the window.
  async end({ warm, seconds }) {
    await this.waitUntil(warm + seconds);
    this.isOver = true;
    return [warm, this.now()];
  }
}

const counter = (first) => () => first++;

function readPrompts({ path }) {
  ({ prompts, long: longPrompts } = JSON.parse(fs.readFileSync(path, "utf8")));
  return {};
}

async function together({ requests, seconds, room }) {
  const sequences = await contextFor(requests.length, room);
  const run = new Run();
  const endInTime = () => {
    const first = run.requests.map(({ times }) => times[0] ?? Infinity);
    run.isOver = run.now() >= Math.max(...first) + seconds;
  };
  const answers = requests.map(({ prompt, new: count }, i) => {
    const sent = { ...prompts[prompt], new: count };
    return run.answer(run.submit("user", sent), sequences[i], sent, endInTime);
  });
  await Promise.all(answers);
  return { window: [0, run.now()], requests: run.requests };
}

async function closed(request) {
  const sequences = await contextFor(request.users + (request.long ? 1 : 0), request.room);
  const run = new Run();
  const next = counter(request.first);
  const users = sequences.slice(0, request.users).map((sequence) => run.sendInTurn("user", sequence, prompts, next));
  if (request.long) {
    users.push(run.sendInTurn("long", sequences[request.users], longPrompts, counter(0)));
  }
  const [window] = await Promise.all([run.end(request), ...users]);
  return { window, requests: run.requests };
}

async function arrivals(request) {
  const free = [...(await contextFor(request.users, request.room))];
  const run = new Run();
  const next = counter(request.first);
  const waiting = [];
  const begin = async () => {
    while (free.length > 0 && waiting.length > 0 && !run.isOver) {
      const [sent, prompt] = waiting.shift();
      const sequence = free.pop();
      await run.answer(sent, sequence, prompt);
      free.push(sequence);
    }
  };
  const answers = request.times.map(async (time) => {
    await run.waitUntil(time);
    if (!run.isOver) {
      const prompt = prompts[next() % prompts.length];
      waiting.push([run.submit("user", prompt), prompt]);
      await begin();
    }
  });
  const [window] = await Promise.all([run.end(request), ...answers]);
  return { window, requests: run.requests };
}

await serve({ logits, prompts: readPrompts, together, closed, arrivals });
