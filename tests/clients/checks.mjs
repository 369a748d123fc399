// What the Node.js programs share: where the emulator is, and how results are told to run.py.

export const baseUrl = process.env.GEMWAY_BASE_URL;
export const headers = { Authorization: `Bearer ${process.env.GEMWAY_API_KEY}` };
export const dummy = "dummy"; // the clients do not start without a key, and send it beside the Bearer token
export const models = ["gemini-2.5-flash", "gemini-3-flash-preview"];
export const painter = "gemini-3.1-flash-image-preview";
export const oslo = "Oslo is the capital of Norway. Riga is the capital of Latvia. What is the capital of Norway?";
export const weather = "What is the weather in Paris? Use the get_weather tool.";

export function assert(fact, message = "not true") {
  if (!fact) throw new Error(message);
}

export function equal(one, other) {
  assert(one === other, `${JSON.stringify(one)} is not ${JSON.stringify(other)}`);
}

/** Width and height of a PNG in base64. */
export function sizeOf(base64) {
  const bytes = Buffer.from(base64, "base64");
  equal(bytes.toString("latin1", 1, 4), "PNG");
  return `${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`;
}

export async function fails(call, status) {
  try {
    await call();
  } catch (error) {
    const text = `${error.status} ${error.statusCode} ${error} ${error.cause}`;
    assert(text.includes(String(status)), `${status} expected in ${text.slice(0, 300)}`);
    return;
  }
  throw new Error("no error was raised");
}

export async function run(checks) {
  const results = {};
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      results[name] = "ok";
    } catch (error) {
      results[name] = `${error}`.slice(0, 300);
      console.error(error);
    }
  }
  console.log(JSON.stringify(results));
}
