import { addUsage, noUsage, type TreeSpend, type Usage } from './records.ts'

const nothing: TreeSpend = { usage: noUsage }

export function addTreeSpend(before: TreeSpend = nothing, more: TreeSpend): TreeSpend {
  const cost = more.cost === undefined ? before.cost : (before.cost ?? 0) + more.cost
  return {
    usage: addUsage(before.usage, more.usage),
    ...(cost === undefined ? undefined : { cost }),
    ...(before.unpriced || more.unpriced ? { unpriced: true } : undefined),
  }
}

/** What has been used since `before`. */
export function sinceTreeSpend(now: TreeSpend = nothing, before: TreeSpend = nothing): TreeSpend {
  const cost = now.cost === undefined ? undefined : now.cost - (before.cost ?? 0)
  return {
    usage: addUsage(now.usage, negative(before.usage)),
    ...(cost === undefined ? undefined : { cost }),
    ...(now.unpriced ? { unpriced: true } : undefined),
  }
}

const negative = (usage: Usage): Usage => ({
  inputTokens: -usage.inputTokens,
  outputTokens: -usage.outputTokens,
  cachedInputTokens: -usage.cachedInputTokens,
  reasoningTokens: -usage.reasoningTokens,
})
