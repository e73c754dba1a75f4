export type Fault = 'lost' | 'repeated' | 'stuck' | 'problem'

export interface Finding {
  readonly fault: Fault
  readonly message: string
}

export const lost = (message: string): Finding => ({ fault: 'lost', message })
export const repeated = (message: string): Finding => ({ fault: 'repeated', message })
export const problem = (message: string): Finding => ({ fault: 'problem', message })
