/** What providers say of a prompt that is larger than the model's context, in their many words. */
const words = [
  /context_length_exceeded|exceed_context_size|request_too_large/i,
  // OpenAI, OpenRouter, Mistral, DeepSeek, vLLM; llama.cpp; LM Studio; MiniMax; Anthropic's "exceed context limit".
  /(maximum|exceeds?|greater than|longer than|larger than|beyond) .{0,40}\bcontext.?(length|window|size|limit)/i,
  /\bcontext.?(length|window|size|limit)\b.{0,40}\b(exceed|is too)/i,
  // Anthropic; Bedrock; Ollama; Chrome's own model.
  /\b(prompt|input|messages?) (is |are |was )?too (long|large)/i,
  // xAI; Google; Kimi; Cohere; Groq; Qwen.
  /maximum prompt length|token count.{0,40}exceeds|maximum number of (input )?tokens|exceeded .{0,20}token limit/i,
  /too many (input |prompt )?tokens|reduce the length of|range of input length/i,
]

/** Whether an endpoint's answer says so. A limit of tokens per minute says much the same, but with a 429. */
export const isContextOverflow = (status: number | undefined, ...said: readonly string[]): boolean =>
  status === 413 ||
  (status !== 401 &&
    status !== 403 &&
    status !== 429 &&
    said.some((text) => words.some((word) => word.test(text.slice(0, 4_000)))))
