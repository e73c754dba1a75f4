import { isOnline } from '../api/network.ts'

/** What is known of the network: by the page's word, else by the browser's in this very thread. */
export class Network {
  #said: boolean | undefined

  /** A page said whether it is online; the latest word counts. */
  hear(online: boolean) {
    this.#said = online
  }

  /** Whether there is known to be none. Nothing is known of an endpoint on this machine: ask only after a call has failed. */
  get isOffline(): boolean {
    return !(this.#said ?? isOnline())
  }
}
