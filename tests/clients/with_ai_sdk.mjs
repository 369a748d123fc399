// The AI SDK with @ai-sdk/google: text, streams, tool loops, objects, files out and in, errors, embeddings.

import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { assert, baseUrl, dummy, equal, fails, headers, models, oslo, painter, run, sizeOf, weather } from "./checks.mjs";

const connect = (own = headers) => createGoogleGenerativeAI({ apiKey: dummy, baseURL: `${baseUrl}/v1beta`, headers: own });
const google = connect();
const tools = {
  get_weather: tool({
    description: "Current weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `21 degrees in ${city}`,
  }),
};
const pictures = { google: { responseModalities: ["TEXT", "IMAGE"] } };
const quiet = { maxRetries: 0 };

await run({
  async chat() {
    for (const model of models) {
      const answer = await generateText({ model: google(model), prompt: oslo });
      equal(answer.text, "Oslo is the capital of Norway.");
      equal(answer.finishReason, "stop");
      assert(answer.usage.totalTokens > 0);
      const messages = [{ role: "user", content: "My name is Bob." }, ...answer.response.messages, { role: "user", content: "What is my name?" }];
      assert((await generateText({ model: google(model), messages })).text);
    }
  },

  async stream() {
    for (const model of models) {
      const result = streamText({ model: google(model), prompt: oslo });
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      assert(pieces.length >= 2);
      equal(pieces.join(""), "Oslo is the capital of Norway.");
      equal(await result.finishReason, "stop");
    }
  },

  async tools() {
    for (const model of models) {
      const answer = await generateText({ model: google(model), prompt: weather, tools, stopWhen: stepCountIs(5) });
      equal(answer.steps.length, 2);
      assert(answer.text.includes("21 degrees in Paris"), answer.text);
      const streamed = streamText({ model: google(model), prompt: weather, tools, stopWhen: stepCountIs(5) });
      assert((await streamed.text).includes("21 degrees in Paris"));
    }
  },

  async schema() {
    const schema = z.object({ city: z.string(), country: z.string(), sights: z.array(z.string()).optional() });
    const { object } = await generateObject({ model: google(models[0]), schema, prompt: "city: Oslo, country: Norway" });
    equal(object.country, "Norway");
  },

  async picture() {
    const options = { google: { responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "16:9" } } };
    const answer = await generateText({ model: google(painter), prompt: "a neon fox, cinematic", providerOptions: options });
    equal(answer.files.length, 1);
    equal(answer.files[0].mediaType, "image/png");
    equal(sizeOf(answer.files[0].base64), "1376x768");
  },

  async edit() {
    const first = await generateText({ model: google(painter), prompt: "a fox", providerOptions: pictures });
    const messages = [{ role: "user", content: "a fox" }, ...first.response.messages, { role: "user", content: "now in blue" }];
    const second = await generateText({ model: google(painter), messages, providerOptions: pictures });
    assert(first.files[0].base64 !== second.files[0].base64, "the picture did not change");
  },

  async errors() {
    const ask = (provider, model) => () => generateText({ model: provider(model), prompt: "hi", ...quiet });
    await fails(ask(connect({ Authorization: "Bearer wrong" }), models[0]), 401);
    await fails(ask(google, "no-such-model"), 404);
  },

  async embeddings() {
    const model = google.textEmbeddingModel("gemini-embedding-001");
    const { embeddings } = await embedMany({ model, values: ["one", "two", "three"] });
    equal(embeddings.map((vector) => vector.length).join(), "3072,3072,3072");
  },
});
