// React as a chunk of its own: it changes less often than the page.
export { createContext, createElement, StrictMode, useContext, useEffect, useRef, useState } from 'react';
export { Fragment, jsx, jsxs } from 'react/jsx-runtime';
export { createRoot, hydrateRoot } from 'react-dom/client';
