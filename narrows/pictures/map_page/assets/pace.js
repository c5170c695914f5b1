// While something moves, fewer points are drawn if drawing all of them takes too long; all of them once it rests.

const MOVING = 120; // milliseconds between frames of a movement, at most
const SLOW = 28;
const QUICK = 18;

class Pace {
  constructor(rest) {
    Object.assign(this, { rest, every: 1, last: -Infinity, timer: 0 });
  }

  // Returns which share of the points the frame that begins now draws: one in so many.
  next(now) {
    const away = now - this.last;
    this.last = now;
    const isMoving = away < MOVING || (away < 10 * MOVING && this.isBusy);
    if (isMoving && away > SLOW) this.every = Math.min(this.every * 2, 16);
    else if (isMoving && away < QUICK && this.every > 1) this.quick = (this.quick ?? 0) + 1;
    if (this.quick > 30) [this.every, this.quick] = [this.every / 2, 0];
    clearTimeout(this.timer);
    this.isBusy = true;
    this.timer = setTimeout(() => {
      this.isBusy = false;
      if (this.every > 1) this.rest();
    }, MOVING);
    return isMoving ? this.every : 1;
  }
}
