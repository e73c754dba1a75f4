import type { InboxItem, StepRecord } from '../sessions/records.ts'
import type { Run } from './run.ts'

// A run that is advanced by `session.step()`, one turn each: between its steps it waits in the store, and nothing but the
// next step lets it go on.

/** The step is to be carried out: from here it asks the model once. Gives what the record is to say of it. */
export function beginStep(run: Run, step: StepRecord) {
  run.stepFrom = run.turn
  return { step }
}

/** Whether the run waits for its next step. A turn that was given back is still to be made. */
export const isBetweenSteps = ({ record: { step }, stepFrom, turn, openCalls, context }: Run) =>
  step !== undefined &&
  (step.over === true || (stepFrom !== undefined && turn > stepFrom && openCalls.length === 0 && !context.givenBack))

/** A leg that was not opened by a step does nothing before one: who asked for the last one is gone. */
export const stepOfLeg = (run: Run, item: Extract<InboxItem, { type: 'resume' | 'step' }> | undefined) => {
  if (item?.type === 'step') return beginStep(run, { id: item.stepId, tools: item.tools })
  return run.record.step && { step: overStep(run.record.step) }
}

export const overStep = (step: StepRecord): StepRecord => ({ ...step, over: true })
