import type { Theme } from './colour';
import type { Segment } from './layout';
import type { HeadView } from './rows';

export interface Look {
  wrap: boolean;
  times: 'off' | 'rel' | 'abs';
  theme: Theme;
}

/** What the page around the log shows of it. */
export interface View {
  isFollowing: boolean;
  isAtEnd: boolean;
  /** Of what is seen, as many lines are not here yet. */
  missing: number;
  /** That the uppermost row is of. */
  step: string | null;
  /** Rises when more is known of where steps begin and end. */
  spans: number;
}

export interface Words {
  head: (segment: Segment, isFolded: boolean, canFold: boolean) => HeadView;
  time: (at: number) => string;
  line: (n: number) => string;
  showAll: (size: number) => string;
}
