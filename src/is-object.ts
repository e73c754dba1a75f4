export type Fields = Readonly<Record<string, unknown>>

/** An array is one, too. */
export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** An object that is no array. */
export const isRecord = (value: unknown): value is Fields => isObject(value) && !Array.isArray(value)
