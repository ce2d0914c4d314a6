// Comfort only: every page says everything without it.
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const all = (what, then, part = document) => part.querySelectorAll(what).forEach(then);

  // A cookie: the page arrives as it was.
  const dark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches);
  const theme = $('theme');
  if (theme) {
    theme.hidden = false;
    theme.onclick = () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      document.cookie = `theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax`;
    };
  }

  all('select[data-submit]', (select) => {
    select.form.classList.add('auto');
    select.onchange = () => select.form.submit();
  });

  // The demo's key travels behind # and is never sent in an address.
  const key = $('key');
  const fill = () => {
    if (!key || !location.hash.startsWith('#key=')) return;
    key.value = decodeURIComponent(location.hash.slice(5));
    const name = $('name');
    if (name && !name.value) name.value = 'Demo';
    history.replaceState(null, '', location.pathname + location.search);
  };
  fill();
  addEventListener('hashchange', fill);

  const tip = $('tip');
  const within = (event, what) => event.target.closest?.(what);
  const place = (x, y, mark) => {
    tip.textContent = mark.getAttribute('aria-label').replaceAll('; ', '\n');
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    let left = x + 14;
    let top = y - box.height - 10;
    if (left + box.width > innerWidth - 8) left = x - box.width - 14;
    if (top < 8) top = y + 16;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${top}px`;
  };
  document.addEventListener('pointermove', (event) => {
    const mark = within(event, '.col');
    if (mark) place(event.clientX, event.clientY, mark);
    else tip.hidden = true;
  });
  document.addEventListener('focusin', (event) => {
    const mark = within(event, '.col');
    if (!mark) return void (tip.hidden = true);
    const box = mark.getBoundingClientRect();
    place(box.left + box.width / 2, box.top + 30, mark);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') tip.hidden = true;
    const mark = within(event, '.col');
    if (!mark) return;
    const marks = [...mark.parentNode.querySelectorAll('.col')];
    const to = { ArrowRight: 1, ArrowLeft: -1, Home: -marks.length, End: marks.length }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = marks[Math.min(marks.length - 1, Math.max(0, marks.indexOf(mark) + to))];
    mark.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // Only where they work.
  const ready = (part) => navigator.clipboard && all('[data-copy]', (button) => (button.hidden = false), part);
  ready();
  document.addEventListener('click', async (event) => {
    const button = within(event, '[data-copy]');
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = '✓';
    setTimeout(() => (button.textContent = before), 1200);
  });

  // While somebody looks; not while they type or read a table.
  const every = document.body.dataset.live * 1000;
  if (!every) return;
  let etag = '';
  let good = Date.now();
  const busy = () => document.activeElement.matches('input,select,textarea,.col') || document.querySelector('details[open]');
  const renew = async () => {
    const answer = await fetch(location.href, { headers: { 'If-None-Match': etag }, redirect: 'error' });
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(answer.status);
      etag = answer.headers.get('etag');
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      // Before, it could not be made.
      if (fresh.title !== document.title) return location.reload();
      ready(fresh);
      all('main [id]', (part) => {
        const other = fresh.getElementById(part.id);
        if (other && part.isConnected && other.outerHTML !== part.outerHTML) part.replaceWith(other);
      });
    }
    good = Date.now();
  };
  const refresh = async () => {
    if (document.hidden) return;
    const reads = busy();
    if (!reads) await renew().catch(() => {}); // tried again, and the note tells
    const old = Date.now() - good;
    const note = $('stamp');
    note.hidden = old < (reads ? 12 : 1.9) * every;
    note.lastChild.textContent = note.dataset.stale.replace('{}', Math.ceil(old / 60000));
  };
  setInterval(refresh, every);
  document.addEventListener('visibilitychange', refresh);
})();
