import { readFileSync } from 'node:fs'

// ci-summary.ts REPORT TESTS CHECK=CODE…: what failed in CI, then what it ran in one line, from Vitest's JSON report and the
// exit codes of the tests and of the other checks. Exits 1 where anything failed.

/** The part of the report that is read here. */
interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

const [file = '', tests, ...checks] = process.argv.slice(2)
const report = read()
const { numPassedTests = 0, numFailedTests = 0, testResults = [] } = report ?? {}
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.length,
)
// an unhandled error, or a run that died before its report, fails the run without a failed test
const failedTests = Math.max(numFailedTests + brokenFiles.length, report && tests === '0' ? 0 : 1)
const failedChecks = checks.filter((check) => !check.endsWith('=0'))
const failed = failedTests + failedChecks.length
for (const { name, assertionResults } of testResults)
  for (const { fullName, status, failureMessages } of assertionResults)
    if (status === 'failed') console.log(`✗ ${name}: ${fullName}\n${failureMessages.join('\n').slice(0, 1000)}`)
for (const { name, message } of brokenFiles) console.log(`✗ ${name}: ${message}`)
if (failedTests > numFailedTests + brokenFiles.length)
  console.log('✗ npm test: failed outside of its tests, or before its report')
for (const check of failedChecks) console.log(`✗ ${check}`)
console.log(`${numPassedTests} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function read(): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
