// Dates of epoch milliseconds: the moment-style patterns of `time:FORMAT`, the named date units, "3 minutes ago".

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const TOKENS = /\[[^\]]*\]|YYYY|YY|MMMM|MMM|MM|M|DDDD|DDD|Do|DD|D|dddd|ddd|dd|d|HH|H|hh|h|kk|k|mm|m|ss|s|SSS|SS|S|A|a|X|x|ZZ|Z|Q/g;

function pad(value: number, width = 2): string {
  return String(value).padStart(width, '0');
}

function ordinal(day: number): string {
  if (day % 100 >= 11 && day % 100 <= 13) return `${day}th`;
  return `${day}${['th', 'st', 'nd', 'rd'][day % 10] ?? 'th'}`;
}

function offset(date: Date, colon: string, utc: boolean): string {
  const minutes = utc ? 0 : -date.getTimezoneOffset();
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(minutes) / 60))}${colon}${pad(Math.abs(minutes) % 60)}`;
}

export function formatDate(ms: number, pattern: string, utc: boolean): string {
  const real = new Date(ms);
  if (Number.isNaN(real.getTime())) return 'Invalid date';
  // Reading UTC fields of a shifted date spares a second set of getters.
  const date = utc ? real : new Date(ms - real.getTimezoneOffset() * 60_000);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth();
  const day = date.getUTCDate();
  const hour = date.getUTCHours();
  const twelve = hour % 12 === 0 ? 12 : hour % 12;
  const milli = date.getUTCMilliseconds();
  const yearDay = Math.floor((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / 86_400_000) + 1;
  return pattern.replace(TOKENS, (token) => {
    if (token.startsWith('[')) return token.slice(1, -1);
    switch (token) {
      case 'YYYY': return pad(year, 4);
      case 'YY': return pad(year % 100);
      case 'Q': return String(Math.floor(month / 3) + 1);
      case 'MMMM': return MONTHS[month] ?? '';
      case 'MMM': return (MONTHS[month] ?? '').slice(0, 3);
      case 'MM': return pad(month + 1);
      case 'M': return String(month + 1);
      case 'DDDD': return pad(yearDay, 3);
      case 'DDD': return String(yearDay);
      case 'Do': return ordinal(day);
      case 'DD': return pad(day);
      case 'D': return String(day);
      case 'dddd': return WEEKDAYS[date.getUTCDay()] ?? '';
      case 'ddd': return (WEEKDAYS[date.getUTCDay()] ?? '').slice(0, 3);
      case 'dd': return (WEEKDAYS[date.getUTCDay()] ?? '').slice(0, 2);
      case 'd': return String(date.getUTCDay());
      case 'HH': return pad(hour);
      case 'H': return String(hour);
      case 'hh': return pad(twelve);
      case 'h': return String(twelve);
      case 'kk': return pad(hour === 0 ? 24 : hour);
      case 'k': return String(hour === 0 ? 24 : hour);
      case 'mm': return pad(date.getUTCMinutes());
      case 'm': return String(date.getUTCMinutes());
      case 'ss': return pad(date.getUTCSeconds());
      case 's': return String(date.getUTCSeconds());
      case 'SSS': return pad(milli, 3);
      case 'SS': return pad(Math.floor(milli / 10));
      case 'S': return String(Math.floor(milli / 100));
      case 'A': return hour < 12 ? 'AM' : 'PM';
      case 'a': return hour < 12 ? 'am' : 'pm';
      case 'X': return String(Math.floor(ms / 1000));
      case 'x': return String(ms);
      case 'ZZ': return offset(real, '', utc);
      default: return offset(real, ':', utc);
    }
  });
}

const ISO = 'YYYY-MM-DD HH:mm:ss';
const US = 'MM/DD/YYYY h:mm:ss a';
/** [pattern, pattern when the date is today]. */
const NAMED: Readonly<Record<string, readonly [string, string]>> = {
  dateTimeAsIso: [ISO, ISO],
  dateTimeAsIsoNoDateIfToday: [ISO, 'HH:mm:ss'],
  dateTimeAsUS: [US, US],
  dateTimeAsUSNoDateIfToday: [US, 'h:mm:ss a'],
  dateTimeAsSystem: [ISO, ISO],
};

/** A named date unit; undefined when `id` is none. */
export function namedDate(id: string, ms: number, nowMs: number, utc: boolean): string | undefined {
  if (id === 'dateTimeFromNow') return fromNow(ms, nowMs);
  const today = formatDate(ms, 'YYYYMMDD', utc) === formatDate(nowMs, 'YYYYMMDD', utc);
  if (id === 'dateTimeAsLocal' || id === 'dateTimeAsLocalNoDateIfToday') {
    const time = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
    const date = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    const zone = utc ? { timeZone: 'UTC' } : {};
    if (Number.isNaN(new Date(ms).getTime())) return 'Invalid date';
    const short = today && id.endsWith('NoDateIfToday');
    return new Intl.DateTimeFormat(undefined, { ...(short ? {} : date), ...time, ...zone }).format(ms);
  }
  const patterns = NAMED[id];
  return patterns === undefined ? undefined : formatDate(ms, today ? patterns[1] : patterns[0], utc);
}

/** "3 minutes ago", "in 2 days": the rounding people know from moment. */
export function fromNow(ms: number, nowMs: number): string {
  if (Number.isNaN(new Date(ms).getTime())) return 'Invalid date';
  const delta = ms - nowMs;
  const seconds = Math.round(Math.abs(delta) / 1000);
  const minutes = Math.round(Math.abs(delta) / 60_000);
  const hours = Math.round(Math.abs(delta) / 3_600_000);
  const days = Math.round(Math.abs(delta) / 86_400_000);
  const monthsExact = Math.abs(delta) / 86_400_000 / (146_097 / 4800);
  const months = Math.round(monthsExact);
  const years = Math.round(monthsExact / 12);
  let text: string;
  if (seconds <= 44) text = 'a few seconds';
  else if (minutes <= 1) text = 'a minute';
  else if (minutes < 45) text = `${minutes} minutes`;
  else if (hours <= 1) text = 'an hour';
  else if (hours < 22) text = `${hours} hours`;
  else if (days <= 1) text = 'a day';
  else if (days < 26) text = `${days} days`;
  else if (months <= 1) text = 'a month';
  else if (months < 11) text = `${months} months`;
  else if (years <= 1) text = 'a year';
  else text = `${years} years`;
  return delta > 0 ? `in ${text}` : `${text} ago`;
}
