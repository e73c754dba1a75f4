/** What the tool `set_page_colors` may set. */
interface PageColors {
  readonly color?: string | undefined
  readonly scheme?: 'light' | 'dark' | 'system' | undefined
}

// Every colour of the page derives from one tint (style.css), with its own lightness: whatever a model asks for, text stays
// readable. Set through the CSSOM, which a CSP without inline styles allows.

/** Carries the tool out. Throws for what is no colour, in words for the model. */
export function setPageColors({ color, scheme }: PageColors): { color: string; scheme: string } {
  const { style } = document.documentElement
  if (color === 'default') {
    style.removeProperty('--tint')
    style.removeProperty('--wash')
  } else if (color !== undefined) {
    const { lightness } = measure(color)
    style.setProperty('--tint', color)
    style.setProperty('--wash', '1')
    if (lightness < 0.35) scheme ??= 'dark'
    if (lightness > 0.93) scheme ??= 'light'
  }
  if (scheme === 'system') style.removeProperty('color-scheme')
  else if (scheme) style.setProperty('color-scheme', scheme)
  return {
    color: style.getPropertyValue('--tint') || 'default',
    scheme: style.getPropertyValue('color-scheme') || 'system',
  }
}

function measure(color: string): { lightness: number } {
  // `var()` and the keywords are valid anywhere in CSS, yet no colours
  if (
    !/^[#\w\s.,%()/+-]+$/.test(color) ||
    /\b(?:var|env|url|attr)\(/i.test(color) ||
    !CSS.supports('color', `oklch(from ${color} l c h)`)
  ) {
    throw new Error(
      `"${color.slice(0, 60)}" is no CSS colour. Use a name, #rrggbb, rgb(…), hsl(…) or oklch(…), or "default".`,
    )
  }
  const probe = document.createElement('span')
  probe.style.setProperty('color', `oklch(from ${color} l c h)`)
  document.body.append(probe)
  const computed = getComputedStyle(probe).color
  probe.remove()
  return { lightness: Number(/^oklch\(([\d.]+)/.exec(computed)?.[1] ?? 0.6) }
}
