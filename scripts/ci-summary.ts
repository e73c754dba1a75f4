import { readFileSync } from 'node:fs'

// ci-summary.ts REPORT OTHER_FAILURES: adds up Vitest's JSON report in one line and exits 1 where anything failed.

const [report = '', otherFailures = '0'] = process.argv.slice(2)
const { passed, failed } = count()
const failures = failed + Number(otherFailures)
console.log(`${passed} passed, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1

function count(): { passed: number; failed: number } {
  try {
    const result = JSON.parse(readFileSync(report, 'utf8')) as Report
    const brokenFiles = result.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    )
    const failed = result.numFailedTests + brokenFiles.length
    // an unhandled error fails the run without failing a test
    return { passed: result.numPassedTests, failed: result.success ? failed : Math.max(failed, 1) }
  } catch {
    return { passed: 0, failed: 1 } // the run died before it could report
  }
}

/** The part of Vitest's JSON reporter that is read here. */
interface Report {
  success: boolean
  numPassedTests: number
  numFailedTests: number
  testResults: { status: string; assertionResults: unknown[] }[]
}
