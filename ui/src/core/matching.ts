// Why a binary operation of two vectors has no result: compares the label sets of both sides. No parser, no network.

import type { Labels } from './api';

export interface MatchRule {
  kind: 'all' | 'on' | 'ignoring';
  labels: readonly string[];
}

export interface SideSummary {
  count: number;
  /** Label names that every series of the side has, `__name__` left out. */
  labels: string[];
}

export interface Mismatch {
  left: SideSummary;
  right: SideSummary;
  /** Names that take part in the matching and only one side has. */
  onlyLeft: string[];
  onlyRight: string[];
  /** Shared names without a shared value. */
  disjoint: { label: string; left: string[]; right: string[] }[];
}

function usedIn(rule: MatchRule, label: string): boolean {
  if (label === '__name__') return false;
  if (rule.kind === 'on') return rule.labels.includes(label);
  return rule.kind === 'all' || !rule.labels.includes(label);
}

function signature(labels: Labels, rule: MatchRule): string {
  const pairs = Object.entries(labels).filter(([name]) => usedIn(rule, name));
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function names(side: readonly Labels[]): string[] {
  return [...new Set(side.flatMap((labels) => Object.keys(labels)))].filter((name) => name !== '__name__').sort();
}

function valuesOf(side: readonly Labels[], label: string): string[] {
  return [...new Set(side.map((labels) => labels[label] ?? ''))].sort();
}

/** undefined when at least one pair of series does match. */
export function mismatch(left: readonly Labels[], right: readonly Labels[], rule: MatchRule): Mismatch | undefined {
  const seen = new Set(left.map((labels) => signature(labels, rule)));
  if (right.some((labels) => seen.has(signature(labels, rule)))) return undefined;
  const leftNames = names(left);
  const rightNames = names(right);
  const used = (label: string): boolean => usedIn(rule, label);
  return {
    left: { count: left.length, labels: leftNames },
    right: { count: right.length, labels: rightNames },
    onlyLeft: leftNames.filter((label) => used(label) && !rightNames.includes(label)),
    onlyRight: rightNames.filter((label) => used(label) && !leftNames.includes(label)),
    disjoint: leftNames
      .filter((label) => used(label) && rightNames.includes(label))
      .map((label) => ({ label, left: valuesOf(left, label), right: valuesOf(right, label) }))
      .filter(({ left: a, right: b }) => !a.some((value) => b.includes(value))),
  };
}

export interface Suggestion {
  kind: 'sum' | 'on' | 'ignoring';
  expr: string;
}

/** Rewritten expressions that would match. `op` may carry `bool`. */
export function suggestions(leftText: string, op: string, rightText: string, found: Mismatch): Suggestion[] {
  const out: Suggestion[] = [];
  const { onlyLeft, onlyRight, disjoint } = found;
  const shared = found.left.labels.filter((label) => found.right.labels.includes(label) && !disjoint.some((one) => one.label === label));
  const summed = (text: string): string => {
    const bare = /^\((.*)\)$/s.exec(text.trim());
    return `sum${shared.length > 0 ? ` by (${shared.join(', ')}) ` : ''}(${bare !== null && balanced(bare[1] ?? '') ? bare[1] : text.trim()})`;
  };
  const needsLeft = onlyLeft.length > 0 || disjoint.length > 0;
  const needsRight = onlyRight.length > 0 || disjoint.length > 0;
  out.push({ kind: 'sum', expr: `${needsLeft ? summed(leftText) : leftText.trim()} ${op} ${needsRight ? summed(rightText) : rightText.trim()}` });
  // on() and ignoring() need one series per match on one side; the side with more labels becomes the "many" side.
  const many = found.left.count > found.right.count ? ' group_left' : found.right.count > found.left.count ? ' group_right' : '';
  if (disjoint.length === 0) {
    const extra = [...onlyLeft, ...onlyRight];
    if (shared.length > 0) out.push({ kind: 'on', expr: `${leftText.trim()} ${op} on (${shared.join(', ')})${many} ${rightText.trim()}` });
    if (extra.length > 0 && (onlyLeft.length === 0 || onlyRight.length === 0)) {
      out.push({ kind: 'ignoring', expr: `${leftText.trim()} ${op} ignoring (${extra.join(', ')})${many} ${rightText.trim()}` });
    }
  } else if (found.left.count === 1 || found.right.count === 1) {
    const extra = [...new Set([...onlyLeft, ...onlyRight, ...disjoint.map((one) => one.label)])];
    out.push({ kind: 'ignoring', expr: `${leftText.trim()} ${op} ignoring (${extra.join(', ')})${many} ${rightText.trim()}` });
  }
  return out;
}

/** Whether the parentheses of a text close where they should, so that outer ones may go. */
function balanced(text: string): boolean {
  let depth = 0;
  for (const char of text) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}
