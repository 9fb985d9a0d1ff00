"""Django and requests: a loan lends a book and charges a fee. What is open is taken up at the start."""

import time

import django.core.wsgi
import requests
from django.conf import settings
from django.db import OperationalError, connection, models
from django.http import HttpResponse
from django.urls import path

if not settings.configured:
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "loans.db"}}
    settings.configure(ROOT_URLCONF=__name__, DATABASES=databases, ALLOWED_HOSTS=["loans"])
    django.setup()


class Loan(models.Model):
    id = models.TextField(primary_key=True)
    state = models.TextField(default="open")

    class Meta:
        app_label = db_table = "loans"


def ask(what, loan):
    key = {"Idempotency-Key": f"{loan}/{what}"}
    answer = requests.post(f"http://{what}", json={"loan": loan}, headers=key, timeout=2)
    return {200: True, 409: False}[answer.status_code]


def lend(request, id):
    try:
        loan, _ = Loan.objects.get_or_create(id=id)
        if loan.state == "open":
            lent = ask("books/lend", id)
            loan.state = "lent" if lent and ask("fees/charge", id) else "undoing" if lent else "failed"
            loan.save()
        if loan.state == "undoing" and ask("books/return", id):
            Loan.objects.filter(id=id).update(state="failed")
        return HttpResponse(status=201 if loan.state == "lent" else 409)
    except (KeyError, OperationalError, requests.RequestException):
        time.sleep(1)
        return lend(request, id)


urlpatterns = [path("loans/<id>", lend)]


def create_app():
    with connection.schema_editor() as editor:
        editor.execute("CREATE TABLE IF NOT EXISTS loans (id TEXT PRIMARY KEY, state TEXT)")
    for loan in Loan.objects.filter(state__in=["open", "undoing"]):
        lend(None, loan.id)
    return django.core.wsgi.get_wsgi_application()
