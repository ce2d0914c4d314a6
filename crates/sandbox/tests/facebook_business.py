"""Sends events to a sandbox with Meta's official Python SDK, and prints as JSON what the SDK made of the answers.

Usage: facebook_business.py SANDBOX_URL DATASET_ID ACCESS_TOKEN
"""

import json
import sys
import time

from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

HASHED_KEYS = ["em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"]


def event(event_id, user_data, **overrides):
    fields = {
        "event_name": "Purchase",
        "event_time": int(time.time()),
        "event_id": event_id,
        "event_source_url": "https://shop.example/thanks",
        "action_source": ActionSource.WEBSITE,
        "user_data": user_data,
        "custom_data": CustomData(value=123.45, currency="BRL", content_name="Café"),
    }
    return Event(**{**fields, **overrides})


def american():
    return UserData(
        email=" John_Smith@gmail.com ",
        phone="+1 (650) 555-1212",
        first_name="Mary",
        last_name="Müller",
        gender=Gender.FEMALE,
        date_of_birth="19970216",
        city="New York",
        state="CA",
        zip_code="94035-1234",
        country_code="US",
        client_ip_address="192.0.2.1",
        client_user_agent="test ua",
    )


def brazilian():
    return UserData(
        email="JOAO.SILVA@UOL.COM.BR ",
        phone="+55 11 91234-5678",
        first_name="João",
        last_name="李明",
        city="São Paulo",
        state="SP",
        zip_code="30130-010",
        country_code="BR",
        external_id="12345",
        client_user_agent="test ua",
    )


def hashes(sent):
    normalized = sent.normalize()["user_data"]
    return {key: normalized[key] for key in HASHED_KEYS if key in normalized}


def main(url, dataset_id, access_token):
    FacebookSession.GRAPH = url
    FacebookAdsApi.init(access_token=access_token)
    sent = [event("sdk-1", american()), event("sdk-2", brazilian())]
    answer = EventRequest(dataset_id, events=sent, test_event_code="TEST1").execute()

    too_old = event("sdk-3", american(), event_time=int(time.time()) - 8 * 24 * 3600)
    try:
        EventRequest(dataset_id, events=[too_old]).execute()
        refusal = None
    except FacebookRequestError as error:
        refusal = {
            "status": error.http_status(),
            "code": error.api_error_code(),
            "subcode": error.api_error_subcode(),
            "type": error.api_error_type(),
        }
    json.dump(
        {
            "events_received": answer.events_received,
            "fbtrace_id": answer.fbtrace_id,
            "messages": answer.messages,
            "hashes": [hashes(one) for one in sent],
            "refusal": refusal,
        },
        sys.stdout,
    )


main(*sys.argv[1:])
