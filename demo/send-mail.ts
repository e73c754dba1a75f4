/** Sends nothing: a pretended mail, that has left once this is through. */
export const sendMail = ({ to, text }: { readonly to: string; readonly text: string }) => ({
  to,
  text,
  sentAt: new Date().toISOString(),
})
