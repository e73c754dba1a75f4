import { expect, it } from 'vitest'
import { textAndReasoning } from '/work/main/test/conformance/cases/text-and-reasoning.ts'
import { calls } from '/work/main/test/conformance/cases/calls.ts'
import { toolOutputs } from '/work/main/test/conformance/cases/tool-outputs.ts'
import { providerTools } from '/work/main/test/conformance/cases/provider-tools.ts'
import { filesAndSources } from '/work/main/test/conformance/cases/files-and-sources.ts'
import { endings } from '/work/main/test/conformance/cases/endings.ts'
import { callSettings } from '/work/main/test/conformance/cases/settings.ts'
import { toolDescriptions } from '/work/main/test/conformance/cases/tool-descriptions.ts'
import { withStreamText } from '/work/main/test/conformance/with-stream-text.ts'
import { withRuntime } from "/work/main/test/conformance/with-runtime.ts"
import { normalise } from "/work/main/test/conformance/normalise.ts"
for (const c of [...textAndReasoning, ...calls, ...toolOutputs, ...providerTools, ...filesAndSources, ...endings, ...callSettings, ...toolDescriptions]) it(c.name, async () => {
  const ref = normalise(await withStreamText(c))
  const t = normalise(await withRuntime(c))
  expect(t).toEqual(ref)
})
