#!/usr/bin/env node
import { launch } from './launch.mjs';

await launch('gatehouse', ['../src/main.ts', '../dist/main.js']);
