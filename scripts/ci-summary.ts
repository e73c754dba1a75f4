import { readFileSync } from 'node:fs'

// ci-summary.ts REPORT TESTS CHECK…: what CI ran, in one line, from Vitest's JSON report and the exit codes of the tests and
// of the other checks. Exits 1 where anything failed.

/** The part of the report that is read here. */
interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: { status: string; assertionResults: unknown[] }[]
}

const [file = '', tests, ...checks] = process.argv.slice(2)
const report = read()
const { numPassedTests = 0, numFailedTests = 0, testResults = [] } = report ?? {}
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.length,
)
// an unhandled error, or a run that died before its report, fails the run without a failed test
const failedTests = Math.max(numFailedTests + brokenFiles.length, report && tests === '0' ? 0 : 1)
const failed = failedTests + checks.filter((code) => code !== '0').length
console.log(`${numPassedTests} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function read(): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
