/** The shell's script: what every page has. Pages import it first. */

import { startKeys } from "./keys";
import { startRefresh } from "./refresh";
import { startSettings } from "./settings";
import { startTimes } from "./times";

startSettings();
startTimes();
startKeys();
startRefresh();
