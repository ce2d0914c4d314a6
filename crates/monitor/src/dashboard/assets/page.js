// Comfort only: every page says everything without it.
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const all = (what, then) => document.querySelectorAll(what).forEach(then);

  // Light or dark, remembered in a cookie so that the page arrives as it was.
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
  const of = (event) => event.target.closest && event.target.closest('.col');
  const named = (mark) => mark.getAttribute('aria-label').replaceAll('; ', '\n');
  const place = (x, y, text) => {
    tip.textContent = text;
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
    const mark = of(event);
    if (mark) place(event.clientX, event.clientY, named(mark));
    else tip.hidden = true;
  });
  document.addEventListener('focusin', (event) => {
    const mark = of(event);
    if (!mark) return void (tip.hidden = true);
    const box = mark.getBoundingClientRect();
    place(box.left + box.width / 2, box.top + 30, named(mark));
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') tip.hidden = true;
    const mark = event.target.closest && event.target.closest('.col');
    if (!mark) return;
    const marks = [...mark.parentNode.querySelectorAll('.col')];
    const to = { ArrowRight: 1, ArrowLeft: -1, Home: -marks.length, End: marks.length }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = marks[Math.min(marks.length - 1, Math.max(0, marks.indexOf(mark) + to))];
    mark.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  });

  all('[data-copy]', (button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      const before = button.textContent;
      button.textContent = '✓';
      setTimeout(() => (button.textContent = before), 1200);
    };
  });

  // The parts that change, every few seconds while somebody looks; not while they type or read a table.
  const every = Number(document.body.dataset.live) * 1000;
  if (!every) return;
  let etag = '';
  let failures = 0;
  let good = Date.now();
  const busy = () => document.activeElement.matches('input,select,textarea,.col') || document.querySelector('details[open]');
  const refresh = async () => {
    if (document.hidden || busy()) return;
    const stamp = $('stamp');
    try {
      const answer = await fetch(location.href, { headers: etag ? { 'If-None-Match': etag } : {}, redirect: 'error' });
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(answer.status);
        etag = answer.headers.get('etag') || '';
        const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
        all('main [id]', (part) => {
          const other = fresh.getElementById(part.id);
          if (other && part.isConnected && other.outerHTML !== part.outerHTML) part.replaceWith(other);
        });
      }
      failures = 0;
      good = Date.now();
    } catch {
      failures += 1;
      if (failures > 1 && stamp) {
        const { stale, ago } = document.body.dataset;
        stamp.textContent = `${stale} ${Math.max(1, Math.round((Date.now() - good) / 60000))} ${ago}`;
      }
    }
  };
  setInterval(refresh, every);
  document.addEventListener('visibilitychange', refresh);
})();
