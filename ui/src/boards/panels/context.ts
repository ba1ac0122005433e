// What every panel is given.

import type { PanelData } from '../data';
import type { Panel } from '../../dashboard/model';
import type { Scope } from '../../dashboard/interpolate';

export interface PanelProps {
  panel: Panel;
  data: PanelData;
  scope: Scope;
  utc: boolean;
  syncKey: string | undefined;
  onZoom: (fromMs: number, toMs: number) => void;
  onZoomOut: () => void;
}
