/**
 * The value of an arithmetic expression: numbers, + − * / % ^, parentheses and sqrt(). Written out, as `eval` is neither
 * safe for what a model writes nor allowed here. Throws with a message that a model can act on.
 */
export function calculate(expression: string): number {
  const tokens = expression.match(/\d+(?:\.\d+)?|\.\d+|sqrt|[-+*/%^()]|\S/g) ?? []
  let next = 0

  const take = (token: string) => tokens[next] === token && ++next > 0

  function sum(): number {
    let value = product()
    for (;;) {
      if (take('+')) value += product()
      else if (take('-')) value -= product()
      else return value
    }
  }

  function product(): number {
    let value = unary()
    for (;;) {
      if (take('*')) value *= unary()
      else if (take('/')) value = divide(value, unary(), '/')
      else if (take('%')) value = divide(value, unary(), '%')
      else return value
    }
  }

  function unary(): number {
    if (take('-')) return -unary()
    if (take('+')) return unary()
    return power()
  }

  function power(): number {
    const base = operand()
    return take('^') ? base ** unary() : base
  }

  function operand(): number {
    if (take('(')) return closed(sum())
    if (take('sqrt')) {
      if (!take('(')) throw new Error('sqrt needs parentheses: sqrt(2)')
      return Math.sqrt(closed(sum()))
    }
    const token = tokens[next++]
    if (token === undefined) throw new Error('The expression ends too early')
    if (!/^[\d.]/.test(token))
      throw new Error(`"${token}" is not a number. Known are numbers, + - * / % ^ ( ) and sqrt()`)
    return Number(token)
  }

  function closed(value: number): number {
    if (!take(')')) throw new Error('A closing parenthesis is missing')
    return value
  }

  const value = sum()
  if (next < tokens.length) throw new Error(`Did not expect "${tokens[next]}"`)
  if (!Number.isFinite(value)) throw new Error('The result is no finite number')
  // 0.1 + 0.2 is 0.3 for whoever asks
  return Number.isInteger(value) ? value : Number(value.toPrecision(12))
}

function divide(dividend: number, divisor: number, operator: '/' | '%'): number {
  if (divisor === 0) throw new Error('Division by zero')
  return operator === '/' ? dividend / divisor : dividend % divisor
}
