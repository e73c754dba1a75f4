import type { AgentError } from 'turnloop'

/** What a person can do about an error. */
export function advice({ code, recoverable }: AgentError): string {
  switch (code) {
    case 'unauthorized':
      return 'The endpoint does not accept the key. Check it, then send your message again.'
    case 'rate-limited':
    case 'overloaded':
      return 'The endpoint is busy. Wait a moment, then send your message again.'
    case 'unreachable':
      return 'Check your connection and the address of the endpoint, then send your message again.'
    case 'storage-full':
      return 'This browser has no space left for the page. Delete a session, then send your message again.'
    case 'storage-unavailable':
    case 'storage-lost':
      return 'This browser does not let the page store anything now. Reload it, or leave private mode.'
    case 'protocol-mismatch':
      return 'A newer version of this page is there. Reload it.'
    case 'worker-lost':
      return 'What was saved is safe. Send a message to start a new worker.'
    case 'invalid-input':
      return 'Change your message, then send it again.'
    case 'unknown-model':
      return 'Choose another model below, then send your message again.'
    default:
      return recoverable
        ? 'Send your message again.'
        : 'Choose another model or start a new session if it happens again.'
  }
}
