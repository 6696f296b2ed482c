/** Tells the router once the server no longer knows who is asking. */
class Session {
  onEnd: () => void = () => {};

  ended(): void {
    this.onEnd();
  }
}

export const session = new Session();
