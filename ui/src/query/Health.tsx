// The state of a target, rule or alert as a pill.

import type { JSX } from 'solid-js';
import { t } from '../i18n';

export function Health(props: { state: string }): JSX.Element {
  const words = { up: 'up', down: 'down', unknown: 'unknown', firing: 'firing', pending: 'pending', inactive: 'inactive' } as const;
  const text = (): string => (props.state in words ? t(words[props.state as keyof typeof words]) : props.state);
  return <span class={`pill ${props.state}`}>{text()}</span>;
}
