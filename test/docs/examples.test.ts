// The examples that are tests themselves, as users write them.
import '../../docs/examples/page-tools/guide.test.ts'
import '../../docs/examples/weather/src/assistant.test.ts'
import '../../docs/examples/weather/src/scripts.test.ts'
