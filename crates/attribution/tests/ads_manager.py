"""What somebody else does in an ad account, with Meta's official Python SDK; prints as JSON what it sees there.

Usage: ads_manager.py SANDBOX_URL ACCOUNT ACCESS_TOKEN PIXEL make|look|meddle
"""

import json
import sys

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession


def conversions(account):
    fields = ["name", "description", "rule", "custom_event_type", "pixel"]
    return list(account.get_custom_conversions(fields=fields))


def audiences(account):
    fields = ["name", "description", "subtype", "rule", "retention_days", "lookalike_spec"]
    return list(account.get_custom_audiences(fields=fields))


def make(account, pixel):
    """A conversion under a name that is declared, with a rule of its own."""
    rule = {"and": [{"event": {"eq": "Purchase"}}, {"or": [{"URL": {"i_contains": "clinica.com.br/obrigado"}}]}]}
    account.create_custom_conversion(params={
        "name": "Completed Purchase",
        "event_source_id": pixel,
        "rule": json.dumps(rule),
        "custom_event_type": "PURCHASE",
    })


def meddle(account, pixel):
    """One audience is changed, one deleted, and one made that seems to be ours."""
    there = {audience["name"]: audience for audience in audiences(account)}
    CustomAudience(there["High Value Lead, 180 days"]["id"]).api_update(params={"name": "Leads de valor"})
    CustomAudience(there["Like High Value Lead, BR 1%"]["id"]).api_delete()
    rule = json.loads(there["Scheduled Appointment, 180 days"]["rule"])
    rule["inclusions"]["rules"][0]["retention_seconds"] = 30 * 86_400
    account.create_custom_audience(params={
        "name": "Agendou, 30 dias",
        "description": "Rastro: Agendou, 30 dias",
        "rule": json.dumps(rule),
        "retention_days": 30,
        "prefill": True,
    })


def main():
    url, account_id, token, pixel, what = sys.argv[1:]
    FacebookSession.GRAPH = url
    FacebookAdsApi.init(access_token=token, crash_log=False)
    account = AdAccount(f"act_{account_id}")
    if what == "make":
        make(account, pixel)
    if what == "meddle":
        meddle(account, pixel)
    seen = [found.export_all_data() for found in conversions(account) + audiences(account)]
    json.dump(seen, sys.stdout)


main()
