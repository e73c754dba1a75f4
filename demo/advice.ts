import type { AgentError } from 'turnloop'

/** What a person can do about an error. */
export function advice({ code, recoverable }: AgentError): string {
  switch (code) {
    case 'unauthorized':
      return 'The endpoint does not accept the key. Check it, then continue.'
    case 'rate-limited':
    case 'overloaded':
      return 'The endpoint is busy. Wait a moment, then send your message again.'
    case 'unreachable':
      return 'Check your connection and the address of the endpoint, then send your message again.'
    case 'storage-full':
      return 'This browser has no space left for the page. Delete a session, then continue.'
    case 'storage-unavailable':
    case 'storage-lost':
      return 'This browser does not let the page store anything now. Reload it, or leave private mode.'
    case 'storage-outdated':
    case 'protocol-mismatch':
      return 'A newer version of this page is there. Reload it.'
    case 'worker-lost':
      return 'What was saved is safe. Send a message or reload the page to start a new worker.'
    case 'invalid-input':
      return 'Change your message, then send it again.'
    case 'file-too-large':
      return 'Attach a smaller file, or none.'
    case 'session-busy':
      return 'Wait until nothing is under way, or stop it, then do it again.'
    case 'unknown-message':
      return 'It is not in the conversation any more. Look at what took its place.'
    case 'unknown-price':
      return 'The model has no price here. Clear the limit of cost in the panel’s tab “Run”, or choose a scripted model.'
    case 'context-overflow':
      return 'The conversation is too long for this model. Start a new session, or choose a model that reads more.'
    case 'unknown-model':
      return 'Choose another model below, then send your message again.'
    default:
      return recoverable
        ? 'Send your message again.'
        : 'Choose another model or start a new session if it happens again.'
  }
}
