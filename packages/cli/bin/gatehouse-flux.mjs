#!/usr/bin/env node
import { launch } from './launch.mjs';

await launch('gatehouse-flux', ['../../flux/src/main.ts', '../node_modules/@gatehouse/flux/dist/main.js']);
