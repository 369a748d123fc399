// @google/genai: chats, streams, functions, schemas, pictures, errors, embeddings.

import { GoogleGenAI, Type } from "@google/genai";
import { assert, baseUrl, dummy, equal, fails, headers, models, oslo, painter, run, sizeOf, weather } from "./checks.mjs";

const connect = (own = headers) => new GoogleGenAI({ apiKey: dummy, httpOptions: { baseUrl, headers: own } });
const ai = connect();
const tool = {
  name: "get_weather",
  description: "Current weather of a city.",
  parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const pictureOf = (answer) => answer.candidates[0].content.parts.find((part) => part.inlineData).inlineData.data;

await run({
  async chat() {
    for (const model of models) {
      const chat = ai.chats.create({ model });
      equal((await chat.sendMessage({ message: oslo })).text, "Oslo is the capital of Norway.");
      await chat.sendMessage({ message: "My name is Bob." });
      assert((await chat.sendMessage({ message: "What is my name?" })).text.includes("Bob"));
      equal(chat.getHistory(true).length, 6);
    }
    assert((await ai.models.countTokens({ model: models[0], contents: oslo })).totalTokens > 5);
    equal((await ai.models.get({ model: models[0] })).inputTokenLimit, 1048576);
  },

  async stream() {
    for (const model of models) {
      const chat = ai.chats.create({ model });
      const chunks = [];
      for await (const chunk of await chat.sendMessageStream({ message: oslo })) chunks.push(chunk);
      assert(chunks.length >= 2);
      equal(chunks.map((chunk) => chunk.text ?? "").join(""), "Oslo is the capital of Norway.");
      assert(chunks.at(-1).usageMetadata.totalTokenCount > 0);
      assert(chat.getHistory(true).length >= 2, "the turn was dropped from the curated history");
    }
  },

  async tools() {
    for (const model of models) {
      const config = { tools: [{ functionDeclarations: [tool] }] };
      const chat = ai.chats.create({ model, config });
      const [call] = (await chat.sendMessage({ message: weather })).functionCalls;
      equal(call.args.city, "Paris");
      const functionResponse = { id: call.id, name: call.name, response: { output: "21 degrees in Paris" } };
      assert((await chat.sendMessage({ message: [{ functionResponse }] })).text.includes("21 degrees in Paris"));
    }
  },

  async schema() {
    const responseSchema = {
      type: Type.OBJECT,
      properties: { city: { type: Type.STRING }, country: { type: Type.STRING } },
      required: ["city", "country"],
    };
    const config = { responseMimeType: "application/json", responseSchema };
    const answer = await ai.models.generateContent({ model: models[0], contents: "city: Oslo, country: Norway", config });
    equal(JSON.parse(answer.text).country, "Norway");
  },

  async picture() {
    const config = { responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "16:9", imageSize: "2K" } };
    const answer = await ai.models.generateContent({ model: painter, contents: "a neon fox, cinematic", config });
    equal(sizeOf(pictureOf(answer)), "2752x1536");
  },

  async edit() {
    const chat = ai.chats.create({ model: painter, config: { responseModalities: ["TEXT", "IMAGE"] } });
    const first = pictureOf(await chat.sendMessage({ message: "a fox" }));
    const second = pictureOf(await chat.sendMessage({ message: "now in blue" }));
    assert(first !== second, "the picture did not change");
  },

  async errors() {
    const ask = { model: models[0], contents: "hi" };
    await fails(() => connect({ Authorization: "Bearer wrong" }).models.generateContent(ask), 401);
    await fails(() => ai.models.generateContent({ ...ask, model: "no-such-model" }), 404);
    await fails(() => ai.models.generateContentStream({ ...ask, model: "no-such-model" }), 404);
    const config = { imageConfig: { aspectRatio: "7:5" } };
    await fails(() => ai.models.generateContent({ model: painter, contents: "hi", config }), 400);
  },

  async embeddings() {
    const answer = await ai.models.embedContent({ model: "gemini-embedding-001", contents: ["one", "two"] });
    equal(answer.embeddings.map((entry) => entry.values.length).join(), "3072,3072");
  },
});
