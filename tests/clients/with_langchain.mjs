// @langchain/google-genai: messages, streams, tools, structured output, pictures, errors.

import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { z } from "zod";
import { assert, baseUrl, dummy, equal, fails, headers, models, oslo, painter, run, sizeOf, weather } from "./checks.mjs";

const connect = (model, own = headers) =>
  new ChatGoogleGenerativeAI({ model, apiKey: dummy, baseUrl, customHeaders: own, maxRetries: 0 });
const getWeather = tool(async ({ city }) => `21 degrees in ${city}`, {
  name: "get_weather",
  description: "Current weather of a city.",
  schema: z.object({ city: z.string() }),
});

await run({
  async chat() {
    for (const model of models) {
      const answer = await connect(model).invoke(oslo);
      equal(answer.text, "Oslo is the capital of Norway.");
      assert(answer.usage_metadata.total_tokens > 0);
      const history = [new HumanMessage("My name is Bob."), new AIMessage("Hello."), new HumanMessage("What is my name?")];
      assert((await connect(model).invoke(history)).text.includes("Bob"));
    }
  },

  async stream() {
    for (const model of models) {
      const pieces = [];
      for await (const chunk of await connect(model).stream(oslo)) pieces.push(chunk.text);
      assert(pieces.length >= 2);
      equal(pieces.join(""), "Oslo is the capital of Norway.");
    }
  },

  async tools() {
    const llm = connect(models[0]).bindTools([getWeather]);
    const first = await llm.invoke(weather);
    const [call] = first.tool_calls;
    equal(call.args.city, "Paris");
    const result = new ToolMessage({ content: await getWeather.invoke(call.args), tool_call_id: call.id, name: call.name });
    const last = await llm.invoke([new HumanMessage(weather), first, result]);
    assert(last.text.includes("21 degrees in Paris"), last.text);
  },

  async schema() {
    const schema = z.object({ city: z.string(), country: z.string() });
    for (const method of ["jsonSchema", "functionCalling"]) {
      const place = await connect(models[0]).withStructuredOutput(schema, { method }).invoke("city: Oslo, country: Norway");
      equal(place.country, "Norway");
    }
  },

  async errors() {
    await fails(() => connect(models[0], { Authorization: "Bearer wrong" }).invoke("hi"), 401);
    await fails(() => connect("no-such-model").invoke("hi"), 404);
  },
});
